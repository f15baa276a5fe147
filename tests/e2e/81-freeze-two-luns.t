#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two LUNs freeze with as many commands as the session has room for. The third still gets through:
# stalled LUNs give the room back.
# cpus: 2
# timeout: 240
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "shedding is ours; make bench-freeze shows what others do"
plan 16

seconds=10
CMDSN_DEPTH=64 # LIO's own default
# Long enough that a slow machine has not done with it before the freeze.
frozen_load=(35 4 16) healthy_load=($((35 + seconds)) 12 4)
ok "three LUNs are logged in" frozen_luns 2 "deadline=8s;stall_after=2s"
ok "and filled" eval 'load_fill 0 ${frozen_load[*]} && load_fill 1 ${frozen_load[*]} && load_fill 2 ${healthy_load[*]}'
watch_begin 0 1 2
# 32 at once each: the 64 that a session may have outstanding.
load_begin 0 "${frozen_load[@]}"
load_begin 1 "${frozen_load[@]}"
load_begin 2 "${healthy_load[@]}"
ok "all are under load" eval 'for n in 0 1 2; do wait_for 40 "load on LUN $n" load_runs $n || exit 1; done'
sleep 3
ok "the disks under LUN 0 and LUN 1 freeze" freeze "${freezing[@]}"
frozen_at=$EPOCHREALTIME
sleep $seconds
thawed_at=$EPOCHREALTIME
thaw

for n in 0 1 2; do ok "the load on LUN $n ends well" load_end $n 60; done
watch_end
unharmed
is "$(grep -h . "$TEST_DIR"/load-*.err)" "" "fio found every block as it was written"
gap=$(load_gap 2 "$frozen_at" "$thawed_at")
note "longest time without an answer of the healthy LUN: $gap ms"
# It waits until the others count as stalled, which is 2 s, and no longer.
ok "the healthy LUN waited only until the others were found stalled" test "$gap" -lt 7000
ok "commands were shed" test "$(said_times 'dm[01]: stalled')" -ge 2
is "$(depth_of 0) $(depth_of 1) $(depth_of 2)" "32 32 32" "the queues are as deep as before"
