#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ABORT TASK and LOGICAL UNIT RESET while the disk is frozen. The kernel's target answers them only
# when the commands they are about have been answered, and the initiator queues nothing to any LUN of
# the session meanwhile; so these commands are answered at once, long before their deadline.
# cpus: 2
# timeout: 240
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; make bench-freeze shows what others do"
plan 24
bus_policy

frozen_load=(30 4 16) healthy_load=(80 12 4)
deadline=32
disk() { basename "$(dev "$1")"; }
# shellcheck disable=SC2317 # called from lib.sh
test_cleanup() {
    [[ -z ${locked-} ]] || exec {locked}<&-
    udevadm control --start-exec-queue
    frozen_cleanup
}

ok "two LUNs are logged in" frozen_luns 1 "deadline=${deadline}s;stall_after=2s"
ok "and filled" eval 'load_fill 0 ${frozen_load[*]} && load_fill 1 ${healthy_load[*]}'
# udev looks at a disk that was written and closed, and reads ahead; what is read ahead the kernel does
# not try again after a reset or an abort.
settle
udevadm control --stop-exec-queue
# udevd itself reads the partitions anew whenever a writer closes the disk, and holds open_mutex for it,
# which the end of sg_reset needs too; but not of a disk that somebody has locked.
exec {locked}< "$(dev 0)" && flock --exclusive "$locked"
watch_begin 0 1
load_begin 0 "${frozen_load[@]}"
load_begin 1 "${healthy_load[@]}"
ok "both are under load" eval 'wait_for 40 "load on LUN 0" load_runs 0 && wait_for 40 "load on LUN 1" load_runs 1'

# What an operator does to a disk that hangs.
freeze "${freezing[@]}"
frozen_at=$EPOCHREALTIME
sleep 1
took 60 sg_reset -d "$(dev 0)"
is "$status" 0 "LOGICAL UNIT RESET during the freeze succeeds"
note "after $seconds s"
reset_at=$EPOCHREALTIME
ok "long before the deadline" test "$seconds" -le $((deadline / 2))
took 60 sg_reset -d "$(dev 1)"
is "$status" 0 "that of the healthy LUN too"
ok "without waiting for that" test "$seconds" -lt "$deadline"
thaw
ok "the load on the frozen LUN ends well" load_end 0 90
is "$(grep -h . "$TEST_DIR"/load-0.err)" "" "fio found every block as it was written"

# The initiator's own: it aborts after twice `timeout`, or four times where it has to wait for an
# answer to a NOP first. Retries are believed for (5 + 1) x timeout since a command was first sent, so
# the freeze is over before.
echo 6 > "/sys/block/$(disk 0)/device/timeout"
tracing=/sys/kernel/tracing
mountpoint -q $tracing || mount -t tracefs tracefs $tracing
echo > $tracing/trace
echo 1 > $tracing/events/iscsi/iscsi_dbg_eh/enable
# Anew: how far the first has come depends on how long the resets took.
load_begin 0 "${frozen_load[@]}"
ok "the frozen LUN is under load again" wait_for 40 "load on LUN 0" load_runs 0
freeze "${freezing[@]}"
sleep 25
thawed_at=$EPOCHREALTIME
thaw
echo 0 > $tracing/events/iscsi/iscsi_dbg_eh/enable
cp $tracing/trace "$TEST_DIR/eh.trace"

ok "its second load ends well" load_end 0 90
ok "so does the load on the healthy one" load_end 1 90
watch_end
aborts=$(grep -c 'aborting' "$TEST_DIR/eh.trace")
gap=$(load_gap 1 "$frozen_at" "$reset_at")
note "ABORT TASK: $aborts sent; gap of the healthy LUN: $(load_gap 1 "$frozen_at" "$thawed_at") ms, $gap ms by the reset"
ok "the healthy LUN did not wait for the deadline either" test "$gap" -le $((deadline * 500))
ok "the initiator aborted commands" test "$aborts" -gt 0
ok "ballastctl stats counts them" test "$(counted dm0 aborted)" -gt 0
unlike "$(< "$TEST_DIR/eh.trace")" 'abort failed' "and no abort failed"
# The kernel's worker waits in D state for the answers, by design.
unharmed $((deadline / 2))
is "$(grep -h . "$TEST_DIR"/load-*.err)" "" "fio found every block as it was written"
is "$(depth_of 0) $(depth_of 1)" "32 32" "the queues are as deep as before"

# Somebody else's: libiscsi's task management tests, in a session of their own, at a frozen LUN.
suite=iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test
for name in "$suite" "$suite-2"; do
    mkdir -p "$(tpg)/acls/$name/lun_0" && ln -s "$(tpg)/lun/lun_0" "$(tpg)/acls/$name/lun_0/lun"
done
freeze "${freezing[@]}"
took 60 iscsi-test-cu --dataloss --test=iSCSI.iSCSITMF "iscsi://$PORTAL/$IQN/0"
thaw
note "libiscsi's task management tests: status $status after $seconds s"
is "$status" 0 "libiscsi's task management tests pass during a freeze"
