#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is restarted while a disk is frozen. What the old one had at the disk is still there, and
# holds it, when the new one comes: the LUN is taken over once it lets go, and nobody sees an error.
# cpus: 2
# timeout: 240
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; make bench-freeze shows what others do"
plan 15

seconds_frozen=25
frozen_load=(25 4 16) healthy_load=(50 12 4)
ok "two LUNs are logged in" frozen_luns 1 "deadline=6s;stall_after=2s"
ok "and filled" eval 'load_fill 0 ${frozen_load[*]} && load_fill 1 ${healthy_load[*]}'
watch_begin 0 1
load_begin 0 "${frozen_load[@]}"
load_begin 1 "${healthy_load[@]}"
ok "both are under load" eval 'wait_for 40 "load on LUN 0" load_runs 0 && wait_for 40 "load on LUN 1" load_runs 1'
sleep 2
freeze "${freezing[@]}"
frozen_at=$SECONDS
sleep 2
took 90 systemctl restart tcmu-runner.service
is "$status" 0 "tcmu-runner is restarted during the freeze"
note "the restart: $seconds s"
ok "within 45 s" test "$seconds" -le $((45 * ${LAB_SLOW:-1}))
ok "and is on the bus" wait_for 30 "tcmu-runner on the bus" daemon_ready
while ((SECONDS < frozen_at + seconds_frozen)); do sleep 0.5; done
thaw
ok "the load on the frozen LUN ends well" load_end 0 90
ok "so does the load on the healthy one" load_end 1 90
watch_end
unharmed 20
is "$(grep -h . "$TEST_DIR"/load-*.err)" "" "fio found every block as it was written"
ok "and so it is once more" eval 'load_check 0 && load_check 1'
