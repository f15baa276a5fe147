#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What an operator does to a LUN whose disk is frozen comes back in bounded time: changing its limits,
# its size, restarting the daemon, deleting it. Afterwards the data is right.
# timeout: 300
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; make bench-freeze shows what others do"
plan 29

mib=$((1 << 20))
rate=50 count=600
took() { # SECONDS COMMAND...: sets $status and $seconds
    local begin=$EPOCHREALTIME
    bounded "$@" >&9 2>&1
    status=$?
    seconds=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000000))
}
put() { echo "$1" > "$2"; }
begin_load() { # on both, and the freeze
    load_begin 0 $count $rate 16
    load_begin 1 $((count * 3)) $rate 4
    wait_for 40 "load on LUN 0" load_runs 0 && wait_for 40 "load on LUN 1" load_runs 1 || return 1
    sleep 1
    freeze "${freezing[@]}" && sleep 2
}
ends_well() { # WHAT: 3 assertions
    ok "$1: the load on the frozen LUN ends well" load_end 0 60
    ok "$1: so does the load on the healthy one" load_end 1 60
    is "$(grep -h . "$TEST_DIR"/load-*.err)" "" "$1: fio found every block as it was written"
}

ok "two LUNs are logged in" frozen_luns 1 "deadline=6s;stall_after=2s"
ok "and filled" eval 'load_fill 0 $count && load_fill 1 $((count * 3))'
watch_begin 0 1

# ---- its limits, by configfs; its size, by targetcli
ok "a freeze under load" begin_load
took 20 put "ballast/$(dm_config dm0);deadline=5s;stall_after=1s" "${lun_path[dm0]}/attrib/dev_config"
is "$status" 0 "new limits are taken during the freeze"
ok "within 5 s" test "$seconds" -le 5
like "$(< "$DAEMON_LOG")" 'dm0: deadline 5s' "and hold"
took 40 tcli << 'END'
/backstores/user:ballast/dm0 set attribute dev_size=67108864
exit
END
note "targetcli's resize: status $status after $seconds s"
ok "a resize during the freeze is answered within 30 s" test "$seconds" -le 30
took 40 tcli << 'END'
/backstores/user:ballast/dm0 set attribute dev_size=134217728
exit
END
ok "and back" test "$seconds" -le 30
thaw
ends_well "limits and size"

# ---- a restart of the daemon
ok "a freeze under load" begin_load
took 90 systemctl restart tcmu-runner.service
is "$status" 0 "tcmu-runner is restarted during the freeze"
note "the restart: $seconds s"
ok "within 45 s" test "$seconds" -le 45
ok "and is on the bus" wait_for 30 "tcmu-runner on the bus" daemon_ready
thaw
ends_well "restart"

# ---- deleting it, as targetcli does
ok "a freeze under load" begin_load
took 60 tcli << 'END'
/backstores/user:ballast delete dm0
exit
END
deleted=$(ls -d "${lun_path[dm0]}" 2>&9)
ok "the LUN is deleted during the freeze, within 45 s" test "$seconds" -le 45
note "targetcli's delete: $seconds s"
is "$deleted" "" "its configfs folder is gone"
unset 'lun_path[dm0]'
load_end 0 60
isnt $? 0 "its load ends in an error"
ok "the load on the healthy LUN goes on" test -d "/proc/${load_pids[1]}"
thaw
ok "and ends well" load_end 1 90
is "$(grep -h . "$TEST_DIR"/load-1.err)" "" "with every block as it was written"
let_go() { ! fuser "/dev/mapper/dm0"; }
ok "the daemon lets go of the disk" wait_for 20 "nobody to hold the disk" let_go
ok "it can be a LUN again" eval 'make_lun again 128M "$(dm_config dm0)" && export_lun again 0 && rescan'
wait_for 20 "LUN 0" test -b "$(by_path 0)"
ok "and every block is right" load_check 0 $count
is "$(kernel_complaints)" "" "the kernel has nothing to complain of"
