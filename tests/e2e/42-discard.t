#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Discarded blocks read as zeros, their neighbours stay, and the space comes back, on a file and on
# a block device.
# timeout: 240
. "$(dirname "$0")/disk.sh"
plan 18

mib=$((1 << 20))
test_cleanup() {
    # The loop device goes after the LUN that holds it.
    clear_target
    [[ -n ${loop-} ]] && losetup -d "$loop"
}

discard() { # OFFSET LENGTH
    bounded 60 blkdiscard -f -o "$1" -l "$2" "$DEV" && model_zero "$1" "$2"
}

fresh_daemon
file_lun vol0 64M
truncate -s 48M "$(backing loop)"
loop=$(losetup --find --show "$(backing loop)")
make_lun vol1 48M "file:$loop" && thin vol1
export_luns
ok "login" login
isnt "$(queue 0 discard_max_bytes)" 0 "the initiator may discard"

ok "32 MiB are written" fill_random 0 $((32 * mib))
full=$(allocated "$(backing vol0)")
ok "8 MiB in the middle are discarded" discard $((8 * mib)) $((8 * mib))
now=$(allocated "$(backing vol0)")
ok "8 MiB of space came back" test $((full - now)) -ge $((8 * mib - 65536))
both_match "after one discard" 0 vol0

# Not aligned to anything but the disk's block.
ok "odd ranges are discarded" eval '
    discard $((20 * mib + 512)) $((4096 * 3 + 512)) &&
    discard $((24 * mib - 512)) 1024 &&
    discard $((31 * mib)) 512'
both_match "after odd discards" 0 vol0

ok "the whole disk is discarded" bounded 60 blkdiscard -f "$DEV"
now=$(allocated "$(backing vol0)")
ok "all space came back ($now bytes are left)" test "$now" -le $mib
is "$(stat -c %s "$(backing vol0)")" $((64 * mib)) "the file kept its size"

ok "ext4" mkfs.ext4 -q "$DEV"
mount "$DEV" "$MNT"
head -c $((20 * mib)) /dev/urandom > "$MNT/big"
sync -f "$MNT"
rm "$MNT/big"
sync -f "$MNT"
full=$(allocated "$(backing vol0)")
ok "fstrim" bounded 60 fstrim "$MNT"
now=$(allocated "$(backing vol0)")
ok "fstrim gave 20 MiB back (of $full, $now are left)" test $((full - now)) -ge $((18 * mib))
bounded 30 umount "$MNT"

# A loop device passes discards on to its file: what comes back there, we have passed on.
DEV=$(dev 1)
fill_random 1 $((16 * mib))
full=$(allocated "$(backing loop)")
discard $((4 * mib)) $((8 * mib))
now=$(allocated "$(backing loop)")
ok "on a block device: 8 MiB of space came back" test $((full - now)) -ge $((8 * mib - 65536))
ok "on a block device: right on the disk" matches_model "$DEV"
