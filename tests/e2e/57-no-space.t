#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The file system under a sparse volume runs full: the initiator is told that there is no space, at
# once; nothing else suffers; and once there is room again, writing goes on.
# timeout: 180
. "$(dirname "$0")/disk.sh"
plan 11

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
make_lun vol0 128M "file:$small/vol0.raw" && thin vol0
file_lun vol1 64M
export_luns
ok "login" login
head -c $((8 * mib)) /dev/urandom > "$MODEL"
ok "while there is room, writing works" dd if="$MODEL" of="$DEV" bs=1M oflag=direct conv=notrunc status=none

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
