#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Discarded blocks read as zeros, their neighbours stay, and the space comes back, on a file and on
# a block device.
# timeout: 240
. "$(dirname "$0")/disk.sh"
plan 27

mib=$((1 << 20))
test_cleanup() {
    # The loop device goes after the LUN that holds it.
    clear_target
    dmsetup remove thin pool
    losetup --list --noheadings --output NAME,BACK-FILE |
        awk -v files="/srv/$TEST_NAME." 'index($2, files) { print $1 }' | xargs -r losetup -d
}

discard() { # OFFSET LENGTH
    bounded 60 blkdiscard -f -o "$1" -l "$2" "$DEV" && model_zero "$1" "$2"
}

fresh_daemon
file_lun vol0 64M
loop() { truncate -s "$2" "$(backing "$1")" && losetup --find --show "$(backing "$1")"; }
make_lun vol1 48M "file:$(loop loop 48M)" && thin vol1
# A thin volume in pieces of 192 KiB, which ignores what is discarded of a part of one.
piece=$((192 * 1024))
modprobe dm-thin-pool
dmsetup create pool --table "0 131072 thin-pool $(loop metadata 8M) $(loop data 64M) $((piece / 512)) 0 1 skip_block_zeroing"
dmsetup message pool 0 create_thin 0
dmsetup create thin --table "0 98304 thin /dev/mapper/pool 0"
make_lun vol2 48M file:/dev/mapper/thin && thin vol2
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

DEV=$(dev 2)
used() { dmsetup status pool | awk '{ split($6, of, "/"); print of[1] }'; } # pieces
ok "on a thin volume: 24 MiB are written" fill_random 2 $((24 * mib))
is "$(used)" 128 "they take 128 pieces"
is "$(queue 2 discard_granularity)" $piece "the initiator knows the size of a piece"
ok "16 pieces are discarded" discard $((16 * piece)) $((16 * piece))
is "$(used)" 112 "they came back"
ok "and read as zeros, and their neighbours stayed" matches_model "$DEV"
ok "parts of pieces are discarded" eval '
    discard $((40 * piece + 512)) $((2 * piece)) &&
    discard $((50 * piece - 512)) 1024 &&
    discard $((60 * piece + 4096)) 4096 &&
    discard $((70 * piece - 1024)) $((piece + 1536))'
like "$(sg_vpd -p lbpv "$DEV")" '\bLBPRZ(\): |=)(0x)?0' "nobody says that these read as zeros"
blockdev --flushbufs "$DEV"
is "$(cmp -l -n $((24 * mib)) "$DEV" "$MODEL" | awk '$3 != 0' | head -n 1)" "" "and their neighbours stayed"
