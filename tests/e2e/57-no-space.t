#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The file system under a sparse volume runs full: the initiator is told that there is no space, at
# once; nothing else suffers; and once there is room again, writing goes on. Before that, the log and
# the initiator's kernel say that little room is left.
# timeout: 180
. "$(dirname "$0")/disk.sh"
plan 16

mib=$((1 << 20))
small=/srv/$TEST_NAME.small
test_cleanup() {
    clear_target
    unmount "$small"
}
truncate -s 48M "$small.img"
mkfs.ext4 -q -m 0 -O ^has_journal "$small.img"
mkdir -p "$small"
mount -o loop "$small.img" "$small"

fresh_daemon
pid=$(daemon_pid)
make_lun vol0 128M "file:$small/vol0.raw;soft_threshold=24MiB" && thin vol0
file_lun vol1 64M
export_luns
ok "login" login
head -c $((8 * mib)) /dev/urandom > "$MODEL"
ok "while there is room, writing works" dd if="$MODEL" of="$DEV" bs=1M oflag=direct conv=notrunc status=none

room_told() { [[ $(sg_logs --page=lbp "$DEV" | tr '\n' ' ') =~ Available[^:]*:\ 3[0-9]\ .*Used[^:]*:\ 8\  ]]; }
ok "the initiator sees how many MiB there are, and how many its LUN takes" wait_for 30 "the look" room_told
like "$(sg_modes -p 0x1c,2 "$DEV" 2>&1)" '80 01 00 00 00 00 00 18' "and the threshold"
threshold_told() { dmesg | sed -n "/lab: test $TEST_NAME begins/,\$p" | grep -q 'reached a thin provisioning soft threshold'; }
ok "nobody has been told that there is little" eval '! threshold_told'
dd if=/dev/urandom of="$DEV" bs=1M seek=8 count=16 oflag=direct conv=notrunc status=none
told_with_next() {
    dd if="$DEV" of=/dev/null bs=4096 count=1 iflag=direct status=none
    threshold_told
}
ok "below the threshold, the initiator's kernel is told" wait_for 30 "the notice" told_with_next
expect_log 'vol0: file=.* has only [0-9.]+[A-Za-z]+ of room left .* less than soft_threshold=24MiB'

said=$(bounded 90 dd if=/dev/urandom of="$DEV" bs=1M seek=8 count=100 oflag=direct conv=notrunc 2>&1)
isnt $? 0 "when there is none, it fails"
like "$said" 'No space left on device' "and says why"
ok "the other LUN works" dd if="$MODEL" of="$(dev 1)" bs=1M oflag=direct conv=notrunc status=none
ok "what was written before is right" matches_model "$DEV"
ok "reading beyond works" dd if="$DEV" of=/dev/null bs=1M skip=100 count=8 iflag=direct status=none

ok "the initiator discards 24 MiB" bounded 30 blkdiscard -f -o $((16 * mib)) -l $((24 * mib)) "$DEV"
ok "and can write again" dd if="$MODEL" of="$DEV" bs=1M seek=64 oflag=direct conv=notrunc status=none
ok "which is right" cmp -n $((8 * mib)) -i $((64 * mib)):0 "$DEV" "$MODEL"
is "$(daemon_pid)" "$pid" "the daemon is the same"
