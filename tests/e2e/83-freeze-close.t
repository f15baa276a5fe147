#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What an operator does to a LUN whose disk is frozen comes back in bounded time: changing its limits
# and its size, deleting it. Afterwards the data is right.
# cpus: 2
# timeout: 240
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; make bench-freeze shows what others do"
plan 24

mib=$((1 << 20))
# Long enough that a slow machine has not done with it before the freeze.
frozen_load=(35 4 16) healthy_load=(40 12 4)
put() { echo "$1" > "$2"; }
begin_load() { # on both, and the freeze
    load_begin 0 "${frozen_load[@]}"
    load_begin 1 "${healthy_load[@]}"
    wait_for 40 "load on LUN 0" load_runs 0 && wait_for 40 "load on LUN 1" load_runs 1 || return 1
    sleep 1
    freeze "${freezing[@]}" && sleep 2
}

ok "two LUNs are logged in" frozen_luns 1 "deadline=6s;stall_after=2s"
ok "and filled" eval 'load_fill 0 ${frozen_load[*]} && load_fill 1 ${healthy_load[*]}'
watch_begin 0 1

# ---- its limits and its size, through configfs: targetcli writes the same, some seconds later
ok "a freeze under load" begin_load
took 20 put "ballast/$(dm_config dm0);deadline=5s;stall_after=1s" "${lun_path[dm0]}/attrib/dev_config"
is "$status" 0 "new limits are taken during the freeze, from an echo with its newline"
ok "at once" test "$seconds" -le 9
expect_log 'dm0: the configuration is now .*deadline=5s'
took 20 put $((160 * mib)) "${lun_path[dm0]}/attrib/dev_size"
is "$status" 0 "so is a new size"
ok "at once" test "$seconds" -le 9
thaw
ok "the load on the frozen LUN ends well" load_end 0 60
ok "so does the load on the healthy one" load_end 1 60
is "$(grep -h . "$TEST_DIR"/load-*.err)" "" "fio found every block as it was written"
echo 1 > "/sys/block/$(basename "$(dev 0)")/device/rescan"
is "$(blockdev --getsize64 "$(dev 0)")" $((160 * mib)) "the disk has its new size"

# ---- deleting it, as targetcli does
ok "a freeze under load" begin_load
took 90 tcli << 'END'
/backstores/user:ballast delete dm0
exit
END
note "targetcli's delete: $seconds s"
# Of which the kernel and targetcli need some; nothing may wait for the thaw.
ok "the LUN is deleted during the freeze, within 60 s" test "$seconds" -le $((60 * ${LAB_SLOW:-1}))
ok "its configfs folder is gone" test ! -d "${lun_path[dm0]}"
unset 'lun_path[dm0]'
load_end 0 60
isnt $? 0 "its load ends in an error"
thaw
ok "the load on the healthy LUN ends well" load_end 1 90
is "$(grep -h . "$TEST_DIR"/load-1.err)" "" "with every block as it was written"
watch_end
let_go() { ! fuser "/dev/mapper/dm0"; }
ok "the daemon lets go of the disk" wait_for 20 "nobody to hold the disk" let_go
ok "it can be a LUN again" eval 'wait_for 30 "the lock to go" make_lun again 128M "$(dm_config dm0)" && export_lun again 0 && rescan'
ok "and is there" wait_for 20 "LUN 0" test -b "$(by_path 0)"
ok "every block is right" load_check 0
is "$(stuck 20)" "" "no thread of target or initiator was stuck"
is "$(kernel_complaints)" "" "the kernel has nothing to complain of"
