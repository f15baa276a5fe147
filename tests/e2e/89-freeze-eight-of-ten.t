#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Eight of ten LUNs in one session freeze, all ten with as many commands as an initiator sends to a LUN, in
# LIO's own window of 64. The healthy two hardly notice: stalled LUNs share the room, and each new one finds
# out sooner. Only with BALLAST_LONG=1: filling and verifying ten LUNs takes its time.
# cpus: 2
# timeout: 900
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "shedding is ours; make bench-freeze shows what others do"
[[ -n ${BALLAST_LONG-} ]] || skip_all "takes ten minutes: BALLAST_LONG=1"
plan 12

CMDSN_DEPTH=64
seconds=60
frozen_load=(30 1 16) healthy_load=($((30 + seconds)) 2 16)
# The first frozen_luns makes healthy; a second healthy one is the last that freezes not.
ok "ten LUNs are logged in" frozen_luns 9 "slow=5s"
unset 'freezing[8]'
fill_all() {
    local n
    for n in 0 1 2 3 4 5 6 7; do load_fill $n "${frozen_load[@]}" || return 1; done
    for n in 8 9; do load_fill $n "${healthy_load[@]}" || return 1; done
}
all_run() {
    local n
    for n in 0 1 2 3 4 5 6 7 8 9; do wait_for 90 "load on LUN $n" load_runs $n || return 1; done
}
ok "and filled" fill_all
watch_begin 0 1 2 3 4 5 6 7 8 9
for n in 0 1 2 3 4 5 6 7; do load_begin $n "${frozen_load[@]}"; done
for n in 8 9; do load_begin $n "${healthy_load[@]}"; done
ok "all are under load" all_run
sleep 3
freeze "${freezing[@]}"
frozen_at=$EPOCHREALTIME
sleep $seconds
thawed_at=$EPOCHREALTIME
thaw
status=0
for n in 0 1 2 3 4 5 6 7 8 9; do load_end $n 180 || { status=$?; note "the load on LUN $n ended with $status"; }; done
is "$status" 0 "every load ends well"
watch_end
unharmed
is "$(grep -h . "$TEST_DIR"/load-*.err)" "" "fio found every block as it was written"
for n in 8 9; do
    gap=$(load_gap $n "$frozen_at" "$thawed_at")
    note "longest time without an answer of healthy LUN $n: $gap ms"
    ok "healthy LUN $n waited no longer than 3.5 s" test "$gap" -le 3500
done
