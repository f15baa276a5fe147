#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The store of a LUN with a write log freezes for longer than the initiator's SCSI timeout, and the
# initiator is as it comes. Writers notice nothing: no command is answered BUSY, late or with an
# error. A read of what only the store has waits. What was written is in the store in the end, and
# survives kill -9. At last the LUN lets its log go while it is in use, and is opened without it.
# cpus: 2
# timeout: 560
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "write logs are ours"
plan 40
bus_policy

seconds=45
[[ -z ${BALLAST_LONG-} ]] || seconds=600
log=/srv/$TEST_NAME.log
logged="$(dm_config dm0);log=$log;log_size=256MiB"
test_cleanup() {
    frozen_cleanup
    rm -f "$log"
}
opened() { (($(said_times 'dm0: open: ') >= $1)); }

fresh_daemon
dm_disk dm0 160M
make_lun dm0 128M "$logged"
ok "the log is made" wait_for 60 "the log" opened 1
export_luns
ok "login" login
is "$(cat "/sys/block/$(basename "$DEV")/device/timeout")" 30 "the initiator has its usual timeout"
ok "blocks that only the store will have" dd if=/dev/urandom of="$DEV" bs=1M seek=100 count=4 oflag=direct status=none
drained() { cmp -s <(dd if="$DEV" bs=1M skip=100 count=4 iflag=direct status=none) \
    <(dd if=/dev/mapper/dm0 bs=1M skip=100 count=4 iflag=direct status=none); }
ok "get there by themselves" wait_for 60 "the store to have them" drained

# udev reads a disk and its partitions after a writer has closed it, and holds up those that open it
# then. With Linux 6.12 it holds up all I/O of the disk, while a read of it waits for the store
# (blk_mq_freeze_queue). It leaves a disk alone that somebody has locked.
exec {lock}< "$DEV"
flock "$lock"

# Four writers that read back what they wrote and flush now and then.
load_jobs 0 $((20 + seconds)) 8 4 --fsync=16
for ((n = 0; n < ${#jobs[@]}; n++)); do
    [[ ${jobs[n]} != --name=read-* ]] || break
done
watch_begin 0
load_start 0 0 --group_reporting "${jobs[@]:0:n}"
ok "under load" wait_for 40 "load" load_runs 0
sleep 5
busy_before=$(counted dm0 busy)
ok "the store freezes" freeze dm0
frozen_at=$EPOCHREALTIME
dd if="$DEV" of="$TEST_DIR/cold" bs=4k skip=$((100 * 256)) count=1 iflag=direct status=none 3>&- &
cold=$!
# After BUSY, Linux sends a disk nothing more while another command of it is outstanding. So a read that is younger must
# not be left waiting when the first comes to its deadline.
sleep 8
dd if="$DEV" of="$TEST_DIR/colder" bs=4k skip=$((101 * 256)) count=1 iflag=direct status=none 3>&- &
colder=$!
sleep $((seconds - 8))
thawed_at=$EPOCHREALTIME
not_ok "a read of what only the store has waits" gone "$cold"
thaw
ok "and ends well" wait "$cold"
ok "so does one that came later" wait "$colder"
ok "the load ends well" load_end 0 120
watch_end
# fio writes its logs when it ends.
note "longest write before the freeze and during it: $(load_worst 0 "$(awk "BEGIN { printf \"%.6f\", $frozen_at - 5 }")" "$frozen_at") ms," \
    "$(load_worst 0 "$frozen_at" "$thawed_at") ms"
# If they waited for the younger read: twelve seconds.
ok "writers were always answered" test "$(load_gap 0 "$frozen_at" "$thawed_at")" -lt 8000
unharmed
is "$(grep -h . "$TEST_DIR"/load-0.err)" "" "fio found every block as it was written"
note "answered BUSY: $(($(counted dm0 busy) - busy_before)), all of them reads that waited"

# ---- the daemon is killed while the log has what the store has not
sum() { bounded 60 dd if="$1" bs=1M count=4 iflag=direct status=none | sha256sum; }
head -c $((4 << 20)) /dev/urandom > "$TEST_DIR/random"
written=$(sha256sum < "$TEST_DIR/random")
freeze dm0
ok "4 MiB are written while the store is frozen" bounded 60 dd if="$TEST_DIR/random" of="$DEV" bs=1M oflag=direct status=none
kill -KILL "$(daemon_pid)"
thaw
isnt "$(sum /dev/mapper/dm0)" "$written" "the daemon is killed, and the store does not have them"
took 90 systemctl restart tcmu-runner.service
is "$status" 0 "a new daemon starts"
ok "and reads the log" wait_for 60 "the LUN" opened 2
is "$(sum "$DEV")" "$written" "they are there"
in_store() { [[ $(sum /dev/mapper/dm0) == "$written" ]]; }
ok "and get to the store" wait_for 60 "the store to have them" in_store

# ---- the log goes, while the LUN is in use
ctl() { "$LAB_BUILD/ballastctl" log "$@"; }
log_is() { [[ $(log_now state) == "$1" ]]; }
log_now() { ctl status dm0 --json | jq -r ".luns[0].log.$1"; }
put() { bounded 60 dd if="$TEST_DIR/random" of="$DEV" bs=1M seek="$1" oflag=direct status=none; }
freeze dm0
ok "4 MiB are written while the store is frozen" put 8
ok "and the daemon says that they wait" test "$(log_now used_bytes)" -ge $((4 << 20))
note "$(ctl status dm0)"
"$LAB_BUILD/ballastctl" log drain dm0 --let-go > "$TEST_DIR/drain" 2>&1 &
draining=$!
ok "the store cannot let its log go: the command says what it waits for" \
    wait_for 60 "a line of it" grep -q "wait for the store" "$TEST_DIR/drain"
ok "and waits" kill "$draining"
ok "writes go on" put 16
ok "after the command the log is used as before" wait_for 30 "the wish to end" log_is working
thaw
exec {lock}<&-
load_jobs 0 15 8 4 --fsync=16
load_start 0 0 --group_reporting "${jobs[@]:0:n}"
ok "under load" wait_for 40 "load" load_runs 0
ok "a drain ends" bounded 120 "$LAB_BUILD/ballastctl" log drain dm0
ok "the store lets its log go" bounded 120 "$LAB_BUILD/ballastctl" log drain dm0 --let-go
ok "and the daemon says so" log_is "let go"
ok "the load ends well" load_end 0 120
is "$(grep -h . "$TEST_DIR"/load-0.err)" "" "fio found every block as it was written"
took 90 systemctl restart tcmu-runner.service
is "$status" 0 "a new daemon starts"
ok "and opens the LUN" wait_for 60 "the LUN" opened 3
expect_log 'dm0: .* has let its write log .* go before, so the LUN works without one'
is "$(bounded 60 dd if="$DEV" bs=1M skip=16 count=4 iflag=direct status=none | sha256sum)" "$written" "with its data"
