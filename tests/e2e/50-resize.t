#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A LUN grows under a logged-in initiator: the operator sets dev_size in targetcli, the initiator is
# told, and after a rescan has the new size and the old data.
# timeout: 180
. "$(dirname "$0")/disk.sh"
[[ $BACKSTORE != fileio ]] || skip_all "fileio cannot be resized"
plan 16

mib=$((1 << 20))
fresh_daemon
file_lun vol0 64M
file_lun vol1 64M
export_luns
ok "login" login
fill_random 0 $((16 * mib))
mkfs.ext4 -q "$(dev 1)"
mount "$(dev 1)" "$MNT"

times_told() { dmesg | sed -n "/lab: test $TEST_NAME begins/,\$p" | grep -c 'Capacity data has changed'; }
# Any command may carry the unit attention.
poke() { dd if="$1" of=/dev/null bs=4k count=1 iflag=direct; }
rescan_disk() { echo 1 > "/sys/block/$(basename "$1")/device/rescan"; }

told() { (($(times_told) > 0)); }
is "$(times_told)" 0 "nothing is said before"
said=$(tcli << 'END'
/backstores/user:ballast/vol0 set attribute dev_size=134217728
/backstores/user:ballast/vol0 get attribute dev_size
exit
END
)
unlike "$said" 'Cannot set attribute|rror:' "targetcli takes the new size"
like "$said" 'dev_size=134217728' "and shows it"
is "$(stat -c %s "$(backing vol0)")" $((128 * mib)) "the file has grown"
poke "$DEV"
ok "CAPACITY DATA HAS CHANGED reaches the initiator" wait_for 10 "the unit attention" told
rescan_disk "$DEV"
is "$(blockdev --getsize64 "$DEV")" $((128 * mib)) "after a rescan the disk has the new size"
ok "what was written is still there" matches_model "$DEV"
ok "the new part reads as zeros" cmp -n $((64 * mib)) -i $((64 * mib)):0 "$DEV" /dev/zero
ok "and can be written" dd if="$MODEL" of="$DEV" bs=1M seek=100 count=16 oflag=direct conv=notrunc status=none
ok "and is right" cmp -n $((16 * mib)) -i $((100 * mib)):0 "$DEV" "$MODEL"

# A mounted file system, through configfs as scripts do it.
ok "configfs takes the new size of a mounted disk" eval \
    'echo $((96 * mib)) > "${lun_path[vol1]}/attrib/dev_size"'
poke "$(dev 1)"
rescan_disk "$(dev 1)"
ok "ext4 grows" resize2fs "$(dev 1)"
ok "to its new size" test "$(df --output=size -B1 "$MNT" | tail -n 1)" -gt $((80 * mib))
bounded 30 umount "$MNT"
ok "fsck" fsck.ext4 -fn "$(dev 1)"

# What cannot be is refused, and changes nothing.
echo 1000 > "${lun_path[vol0]}/attrib/dev_size" 2>&9
is "$(cat "${lun_path[vol0]}/attrib/dev_size") $(stat -c %s "$(backing vol0)")" \
    "$((128 * mib)) $((128 * mib))" "a size that is no multiple of the block is refused"
