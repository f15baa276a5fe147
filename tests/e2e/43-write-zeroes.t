#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Zeroed blocks read as zeros, their neighbours stay, and no data is written for it, on a file and
# on a block device.
# timeout: 240
. "$(dirname "$0")/disk.sh"
plan 18

mib=$((1 << 20))
test_cleanup() {
    clear_target
    [[ -n ${loop-} ]] && losetup -d "$loop"
}

# WRITE SAME without UNMAP: the blocks must stay provisioned.
zero() { # OFFSET LENGTH
    bounded 60 blkdiscard -f -z -o "$1" -l "$2" "$DEV" && model_zero "$1" "$2"
}
# WRITE SAME with UNMAP: the blocks may become holes.
punch() { # OFFSET LENGTH
    bounded 60 fallocate -p -o "$1" -l "$2" "$DEV" && model_zero "$1" "$2"
}

fresh_daemon
file_lun vol0 64M
truncate -s 32M "$(backing loop)"
loop=$(losetup --find --show "$(backing loop)")
make_lun vol1 32M "file:$loop" && thin vol1
export_luns
ok "login" login
isnt "$(queue 0 write_zeroes_max_bytes)" 0 "the initiator may send zeroing commands"

ok "32 MiB are written" fill_random 0 $((32 * mib))
full=$(allocated "$(backing vol0)")
ok "8 MiB are zeroed" zero $((8 * mib)) $((8 * mib))
ok "the file did not grow" test "$(allocated "$(backing vol0)")" -le "$full"
is "$(written_bytes "$(backing vol0)" $((8 * mib)) $((8 * mib)))" 0 "no zeros were written there"
both_match "after zeroing" 0 vol0

ok "odd ranges are zeroed" eval '
    zero $((20 * mib + 512)) $((4096 * 3 + 512)) &&
    zero $((24 * mib - 512)) 1024 &&
    zero $((31 * mib)) 512'
both_match "after odd zeroing" 0 vol0

full=$(allocated "$(backing vol0)")
ok "4 MiB are zeroed and may be holes" punch $((26 * mib)) $((4 * mib))
now=$(allocated "$(backing vol0)")
ok "4 MiB of space came back" test $((full - now)) -ge $((4 * mib - 65536))
both_match "after punching" 0 vol0

before=$(written_bytes "$(backing vol0)" $((32 * mib)) $((32 * mib)))
bounded 60 blkdiscard -f -z -o $((40 * mib)) -l $((20 * mib)) "$DEV"
is "$(written_bytes "$(backing vol0)" $((32 * mib)) $((32 * mib)))" "$before" \
    "zeroing what was never written writes nothing"

DEV=$(dev 1)
fill_random 1 $((16 * mib))
ok "on a block device: zeroes" zero $((4 * mib)) $((8 * mib))
ok "on a block device: right on the disk" matches_model "$DEV"
