#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A disk with blocks of 4096 bytes: file system, partition table, zeroing, and no way around the
# block size.
# timeout: 180
. "$(dirname "$0")/disk.sh"
plan 17

mib=$((1 << 20))
fresh_daemon
if [[ $BACKSTORE == fileio ]]; then
    make_lun vol0 128M "file:$(backing vol0)" && thin vol0
    echo 4096 > "${lun_path[vol0]}/attrib/block_size"
else
    file_lun vol0 128M block_size=4096
fi
export_luns
ok "login" login
is "$(queue 0 logical_block_size)" 4096 "logical_block_size"
is "$(blockdev --getsize64 "$DEV")" $((128 * mib)) "size"
like "$(sg_readcap --16 "$DEV" 2>&1)" 'Logical block length=4096' "READ CAPACITY(16)"
like "$(sg_readcap "$DEV" 2>&1)" 'Last LBA=32767' "READ CAPACITY(10)"
not_ok "the block layer refuses 512 bytes" dd if="$DEV" of=/dev/null bs=512 count=1 iflag=direct

ok "GPT" parted -s "$DEV" mklabel gpt mkpart whole ext4 1MiB 127MiB
settle
ok "both tables are sound" "$TOOLS_SRC/gpt-check.py" "$DEV" $((128 * mib)) 4096
ok "direct reads of it, every buffer offset" bounded 60 "$TOOLS/direct-offsets" read "$DEV" "$(backing vol0)" 0 $((6 * 4096))

part=${DEV}1
wait_for 10 "the partition" test -b "$part"
ok "ext4" mkfs.ext4 -q "$part"
mount "$part" "$MNT"
head -c $((12 * mib + 77)) /dev/urandom > "$SCRATCH/data"
cp "$SCRATCH/data" "$MNT/data"
bounded 30 umount "$MNT"
logout && login
mount "${DEV}1" "$MNT"
ok "the file is right after another login" cmp "$SCRATCH/data" "$MNT/data"
bounded 30 umount "$MNT"
ok "fsck" fsck.ext4 -fn "${DEV}1"

ok "8 MiB are written" fill_random 0 $((8 * mib))
ok "2 MiB are zeroed" bounded 30 blkdiscard -f -z -o $mib -l $((2 * mib)) "$DEV"
model_zero $mib $((2 * mib))
ok "2 MiB are discarded" bounded 30 blkdiscard -f -o $((4 * mib)) -l $((2 * mib)) "$DEV"
model_zero $((4 * mib)) $((2 * mib))
both_match "zeroed and discarded" 0 vol0
