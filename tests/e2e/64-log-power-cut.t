#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disks under a write log and under its store lose power, after each flush that they got. The
# kernel's log-writes target records what both are told, in the order in which it became durable. So
# every state that they had, or may have had, can be made again: each time the log is verified and
# drained, and the store must have all that was answered before a flush of the LUN that was answered.
# BALLAST_LONG=1; E2E_BATCHES: how many flushes of the LUN (60); E2E_POINTS: at most so many power
# cuts (all).
# timeout: 6000
. "$(dirname "$0")/power-cut.sh"
[[ -n ${BALLAST_LONG-} ]] || skip_all "needs ten minutes and more: BALLAST_LONG=1"
plan 15

batches=${E2E_BATCHES:-60}
seed=${BALLAST_SEED:-$RANDOM}
note "BALLAST_SEED=$seed"
before_the_disks_go() { [[ -z ${try_loop-} ]] || losetup -d "$try_loop" 2>&9; }
opened() { (($(grep -c 'vol0: open: ' "$DAEMON_LOG") > 0)); }

ok "a file system whose files can share blocks" make_room
ok "a disk for the log" make_disk log 300M
ok "a disk for the store" make_disk store 80M
fresh_daemon
ok "a LUN" make_lun vol0 64M "file=/dev/mapper/store.recorded;log=/dev/mapper/log.recorded;log_size=256MiB"
ok "the log is made" wait_for 60 "the log" opened || bail "$(tail -n 5 "$DAEMON_LOG")"
loop_attach vol0
ok "the store is recorded" record store
ok "the log is recorded" record log
marks='m() { dmsetup message log.recorded 0 mark "$1" && dmsetup message store.recorded 0 mark "$1"; }; m'
ok "$batches batches are written and flushed" bounded 900 \
    "$TOOLS/synced-writes" write "$LOOP_DEV" "$seed" s "$batches" "$marks"
clear_target
end_records
unlike "$(kernel_since)" 'log-writes: ' "all of it was recorded"

"$TOOLS/replay-writes" points "$MNT/log.record" "$MNT/store.record" > "$TEST_DIR/points"
all=$(wc -l < "$TEST_DIR/points")
awk -v every="$((all / ${E2E_POINTS:-$all} + 1))" -v all="${E2E_POINTS:+some}" \
    'all == "" || NR % every == 0' "$TEST_DIR/points" > "$TEST_DIR/cuts"
note "$all states, of which $(wc -l < "$TEST_DIR/cuts") are tried"
ok "there are states after each flush" test "$all" -gt $((2 * batches))

verified=0 drained=0 right=0 lacking=0 wrong=
while read -r log_entries store_entries batch; do
    cut_power log "$log_entries" && cut_power store "$store_entries" || break
    # The label of a device is behind the LUN's end.
    try_loop=$(losetup -f --show "$MNT/store.cut") || break
    why="log $log_entries, store $store_entries, batch $batch:"
    if said=$("$LAB_BUILD/ballastctl" log verify "$MNT/log.cut" 2>&1); then verified=$((verified + 1)); else wrong+="$why $said"$'\n'; fi
    if said=$("$LAB_BUILD/ballastctl" log drain "$MNT/log.cut" "$try_loop" 2>&1); then drained=$((drained + 1)); else wrong+="$why $said"$'\n'; fi
    if said=$("$TOOLS/synced-writes" check "$try_loop" "$seed" s "$batch"); then right=$((right + 1)); else wrong+="$why $said"$'\n'; fi
    # What is wanted next is not always there yet.
    "$TOOLS/synced-writes" check "$try_loop" "$seed" s "$((batch + 1))" > /dev/null || lacking=$((lacking + 1))
    losetup -d "$try_loop"
    try_loop=
done < "$TEST_DIR/cuts"
cuts=$(wc -l < "$TEST_DIR/cuts")
is "$verified" "$cuts" "after each power cut the log is whole"
is "$drained" "$cuts" "and is drained"
is "$right" "$cuts" "and what was answered before a flush is there"
is "$(head -c 3000 <<< "$wrong")" "" "nothing was wrong"
isnt "$lacking" 0 "and more was not there yet: the look at the blocks can fail"
