#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disk under one of two LUNs freezes for longer than the deadline. Nobody sees an error, the
# session stands, the other LUN hardly notices, and no byte is lost.
# cpus: 2
# timeout: 240
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; make bench-freeze shows what others do"
plan 20
bus_policy

# At the thaw the first retries are 4 s old: they have not expired.
seconds=11
# Long enough that a slow machine has not done with it before the freeze.
frozen_load=(35 4 16) healthy_load=($((35 + seconds)) 12 4)
ok "two LUNs are logged in" frozen_luns 1 "deadline=7s;slow=3s;stall_after=2s;stall_window=4"
ok "and filled" eval 'load_fill 0 ${frozen_load[*]} && load_fill 1 ${healthy_load[*]}'
watch_begin 0 1
load_begin 0 "${frozen_load[@]}"
load_begin 1 "${healthy_load[@]}"
ok "both are under load" eval 'wait_for 40 "load on LUN 0" load_runs 0 && wait_for 40 "load on LUN 1" load_runs 1'
sleep 3
ok "the disk under LUN 0 freezes" freeze "${freezing[@]}"
frozen_at=$EPOCHREALTIME
sleep $seconds
thawed_at=$EPOCHREALTIME
thaw

ok "the load on the frozen LUN ends well" load_end 0 60
ok "so does the load on the healthy one" load_end 1 60
watch_end
unharmed
is "$(grep -h . "$TEST_DIR"/load-*.err)" "" "fio found every block as it was written"
ok "and so it is once more" eval 'load_check 0 && load_check 1'
gap=$(load_gap 1 "$frozen_at" "$thawed_at")
note "longest time without an answer of the healthy LUN: $gap ms"
# Well before the deadline of what froze.
ok "the healthy LUN was always answered" test "$gap" -lt 6000
# Orphans are what the disk still has; their retries wait for them instead of asking it twice.
ok "commands were answered BUSY at their deadline and went on as orphans" test "$(counted dm0 orphaned)" -gt 0
ok "retries took over what orphans brought" test "$(counted dm0 adoptions)" -gt 0
ok "the log says that the LUN stalled" test "$(said_times 'dm0: stalled')" -gt 0
# While one is stalled, another is after a third of the time. On a slow machine it may be.
ok "and that the other did not" test "$(said_times 'dm1: stalled')" = 0 -o "$(load_worst 1 "$frozen_at" "$thawed_at")" -ge 600
is "$(depth_of 0) $(depth_of 1)" "32 32" "both queues are as deep as before"
is "$(iscsiadm -m session | grep -c "$IQN")" 1 "in the same session"
