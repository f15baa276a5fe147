#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The quick form of 96-freeze-420s.t: BUSY ends after 10 s, the initiator believes it for 18 s, and its
# error handler begins after 6 s instead of 60 s.
# cpus: 2
# timeout: 300
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; make bench-freeze shows what others do"
[[ -n ${BALLAST_LONG-} ]] || skip_all "needs two minutes: BALLAST_LONG=1"
plan 16
bus_policy

seconds=30
frozen_load=(20 4 16) healthy_load=($((20 + seconds)) 8 4)
ok "two LUNs are logged in" frozen_luns 1 "deadline=4s;slow=3s;stall_after=1s;busy_for=10s"
is "$(cat "${lun_path[dm0]}"/attrib/{cmd_time_out,tmr_notification})" $'0\n1' "the kernel answers nothing by itself"
ok "and filled" eval 'load_fill 0 ${frozen_load[*]} && load_fill 1 ${healthy_load[*]}'
# What reads the partitions of a disk that somebody wrote is not sent again after an abort.
udevadm control --stop-exec-queue
# shellcheck disable=SC2317 # called from lib.sh
test_cleanup() {
    udevadm control --start-exec-queue
    frozen_cleanup
}
echo 3 > "/sys/block/$(basename "$(dev 0)")/device/timeout"
watch_begin 0 1
load_begin 0 "${frozen_load[@]}"
load_begin 1 "${healthy_load[@]}"
ok "both are under load" eval 'wait_for 40 "load on LUN 0" load_runs 0 && wait_for 40 "load on LUN 1" load_runs 1'
sleep 3
freeze "${freezing[@]}"
frozen_at=$EPOCHREALTIME
sleep $seconds
thawed_at=$EPOCHREALTIME
thaw
ok "the load on the frozen LUN ends well" load_end 0 60
ok "so does the load on the healthy one" load_end 1 60
watch_end
unharmed 15
is "$(grep -h . "$TEST_DIR"/load-*.err)" "" "fio found every block as it was written"
note "longest gap of the healthy LUN $(load_gap 1 "$frozen_at" "$thawed_at") ms; last answer $(load_last 0 "$thawed_at") ms after the thaw"
ok "BUSY was answered first" test "$(counted dm0 deadlines)" -gt 0
ok "then commands were held" test "$(said_times 'dm0: commands are held from now on')" -eq 1
ok "and aborted by the initiator" test "$(counted dm0 aborted)" -gt 0
ok "the healthy LUN was always answered" test "$(load_gap 1 "$frozen_at" "$thawed_at")" -lt 3500
