#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is restarted while a file system, or the disk below one, is frozen under an idle LUN: the
# other LUN is served within seconds, the daemon's main thread does not sleep in the kernel, and the
# LUN serves after the thaw. Nobody sees an error.
# cpus: 2
# timeout: 240
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; make bench-freeze shows what others do"
[[ -n ${BALLAST_LONG-} ]] || skip_all "needs three minutes: BALLAST_LONG=1"
plan 17

mib=$((1 << 20))
volumes=/srv/$TEST_NAME.volumes
test_cleanup() {
    thaw
    fsfreeze -u "$volumes" 2>&9
    clear_target
    unmount "$volumes"
    frozen_cleanup
}
works() { bounded 20 dd if="$MODEL" of="$(dev "$1")" bs=64k count=16 oflag=direct conv=notrunc status=none; }
has_data() { bounded 40 cmp -n $mib "$(dev "$1")" "$MODEL"; }
# main_thread: its state, unless it runs or sleeps as it should.
main_thread() { awk '{ sub(/.*\) /, ""); print $1 }' "/proc/$(daemon_pid)/stat"; }
never_in_d() {
    local i
    for ((i = 0; i < 20; i++)); do
        [[ $(main_thread) != D ]] || return 1
        sleep 0.1
    done
}

fresh_daemon
dm_disk dm0 200M && mkfs.ext4 -q -m 0 /dev/mapper/dm0 && mkdir -p "$volumes" && mount /dev/mapper/dm0 "$volumes" ||
    bail "no file system"
make_lun vol0 64M "file=$volumes/vol0.raw" && file_lun vol1 64M && export_luns || bail "no LUNs"
ok "login" login 2
fill_random 0 $mib
ok "both work" eval 'works 0 && works 1'

# ---- the file system is frozen
fsfreeze -f "$volumes"
took 60 systemctl restart tcmu-runner.service
is "$status" 0 "the daemon is restarted with a frozen file system"
ok "within 20 s" test "$seconds" -le 20
took 20 works 1
is "$status" 0 "the other LUN works"
ok "at once" test "$seconds" -le 10
ok "the daemon's main thread is never in D" never_in_d
ok "what needs no writing works on the frozen one, too" has_data 0
fsfreeze -u "$volumes"
ok "it works after the thaw" works 0

# ---- the disk below it is frozen, and nothing of the path is in memory
bounded 60 systemctl stop tcmu-runner.service
sync
echo 3 > /proc/sys/vm/drop_caches
freeze dm0
: > "$DAEMON_LOG"
took 60 start_daemon
is "$status" 0 "the daemon starts with a frozen disk"
ok "within 20 s" test "$seconds" -le 20
took 20 works 1
is "$status" 0 "the other LUN works"
ok "at once" test "$seconds" -le 10
ok "the daemon's main thread is never in D" never_in_d
works 0 3>&- &
writer=$!
sleep 4
thaw
wait $writer
is $? 0 "a write that came during the freeze is done after the thaw"
ok "and the data is right" has_data 0
is "$(kernel_complaints)" "" "the kernel has nothing to complain of"
