#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 500
# A LUN with 4 KiB blocks beside one with 512: recipe blocks-4k.targetcli.
. "$(dirname "$0")/recipes.sh"
IQN=iqn.2026-01.org.ballast:vol0
plan 12

fresh_daemon
file_of /srv/vol0.raw 64M
file_of /srv/vol4k.raw 64M
ok "a target to add to" recipe one-lun-chap.targetcli SIZE=64M "${TO_US[@]}"
ok "the recipe runs" recipe blocks-4k.targetcli SIZE=64M "INITIATOR=$INITIATOR"
ok "login" chap_login "$SECRET_FILE"
ok "both disks" wait_for 30 "disks of both LUNs" all_disks 0 1
DEV=$(dev 1)
is "$(blockdev --getss "$DEV")" 4096 "blocks of 4096 bytes"
is "$(blockdev --getss "$(dev 0)")" 512 "the other LUN keeps its 512"
is "$(blockdev --getsize64 "$DEV")" $((64 << 20)) "the size is right"
not_ok "O_DIRECT of 512 bytes is refused" dd if="$DEV" of=/dev/null bs=512 count=1 iflag=direct status=none
dd if=/dev/urandom of=/srv/pattern bs=4096 count=3 status=none
ok "three blocks are written" dd if=/srv/pattern of="$DEV" bs=4096 seek=5 oflag=direct status=none
ok "and are where they belong" cmp -n $((3 * 4096)) /srv/pattern /srv/vol4k.raw 0 $((5 * 4096))
ok "a file system" mkfs.ext4 -q -E nodiscard "$DEV"
ok "mounts" mount "$DEV" "$MNT"
