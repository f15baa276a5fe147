#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disks under one LUN, and then under two, freeze for 420 s, and nobody has touched the initiator's
# settings. Linux believes BUSY for 180 s, so Ballast stops saying it before and lets the initiator abort,
# which it may do five times a command. No error, no reset session, no byte lost. But the second time that a
# command is not answered in time Linux does not abort it: its error handler stops the whole session until
# every command that is out has timed out as well (scsi_abort_command, scsi_eh_wakeup in
# drivers/scsi/scsi_error.c). So the healthy LUN is looked at in the first 240 s; what it waited in all is
# said. Only with BALLAST_LONG=1. E2E_FROZEN: how many freeze, "1 2"; E2E_SECONDS: for how long.
# cpus: 2
# timeout: 1500
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; make bench-freeze shows what others do"
[[ -n ${BALLAST_LONG-} ]] || skip_all "takes 20 minutes: BALLAST_LONG=1"
read -ra counts <<< "${E2E_FROZEN:-1 2}"
seconds=${E2E_SECONDS:-420}
plan $((${#counts[@]} * 18))
bus_policy

frozen_load=(35 4 16) healthy_load=($((35 + seconds)) 8 4)

fill_all() {
    local n
    for n in "${freezing[@]}"; do load_fill "${n#dm}" "${frozen_load[@]}" || return 1; done
    load_fill "$healthy" "${healthy_load[@]}"
}
all_run() { # LUN...
    local n
    for n in "$@"; do wait_for 60 "load on LUN $n" load_runs "$n" || return 1; done
}
check_all() { # LUN...
    local n
    for n in "$@"; do load_check "$n" || return 1; done
}
# long_freeze COUNT: 18 assertions.
long_freeze() {
    local count=$1 n gap last frozen_at thawed_at all=()
    for ((n = 0; n <= count; n++)); do all+=("$n"); done
    ok "$count: LUNs are logged in" frozen_luns "$count" "slow=5s"
    ok "$count: and filled" fill_all
    watch_begin "${all[@]}"
    for n in "${freezing[@]}"; do load_begin "${n#dm}" "${frozen_load[@]}"; done
    load_begin "$healthy" "${healthy_load[@]}"
    ok "$count: all are under load" all_run "${all[@]}"
    sleep 3
    freeze "${freezing[@]}"
    frozen_at=$EPOCHREALTIME
    sleep "$seconds"
    thawed_at=$EPOCHREALTIME
    is "$(kernel_since | grep -cE 'I/O error|detected conn error|offlined')" 0 "$count: nothing has failed until the thaw"
    thaw
    status=0
    for n in "${all[@]}"; do load_end "$n" 120 || { status=$?; note "the load on LUN $n ended with $status"; }; done
    is "$status" 0 "$count: every load ends well"
    watch_end
    unharmed 20
    is "$(grep -h . "$TEST_DIR"/load-*.err)" "" "$count: fio found every block as it was written"
    ok "$count: and so it is once more" check_all "${all[@]}"
    note "$count: longest gap of the healthy LUN in all: $(load_gap "$healthy" "$frozen_at" "$thawed_at") ms"
    gap=$(load_gap "$healthy" "$frozen_at" "$(awk "BEGIN { printf \"%.6f\", $frozen_at + ($seconds < 240 ? $seconds : 240) }")")
    last=0
    for n in "${freezing[@]}"; do n=$(load_last "${n#dm}" "$thawed_at") && ((n <= last)) || last=$n; done
    note "$count frozen for $seconds s: longest gap of the healthy LUN in the first 240 s $gap ms; last answer $last ms after the thaw"
    note "dm0: $(counted dm0 aborted) aborted, $(counted dm0 deadlines) at their deadline, $(counted dm0 shed) shed, $(counted dm0 adoptions) adoptions"
    ok "$count: the healthy LUN's longest gap in the first 240 s is at most 3.5 s" test "$gap" -le 3500
    ok "$count: the last answer comes within 5 s of the thaw" test "$last" -le 5000
    ok "$count: the log says when BUSY ends" test "$(said_times 'dm0: commands are held from now on')" -eq 1
    ok "$count: commands were aborted" test "$(counted dm0 aborted)" -gt 0
    is "$(disk_states)" "" "$count: no disk was ever anything but running"
    is "$(iscsiadm -m session | grep -c "$IQN")" 1 "$count: in the same session"
    logout
    clear_target
    dm_remove
    rm -f "$TEST_DIR"/load-*
}
for count in "${counts[@]}"; do long_freeze "$count"; done
