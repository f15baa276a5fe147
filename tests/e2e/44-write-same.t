#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# WRITE SAME: 1280 KiB are offered and taken, one block more is refused and writes nothing; what is
# not zero is replicated bit for bit, what is zero is zeroed.
# timeout: 240
. "$(dirname "$0")/disk.sh"
plan 40

mib=$((1 << 20))
limit=2560 # blocks of 512: 1280 KiB
blocks=$((64 * mib / 512))

fresh_daemon
file_lun vol0 64M
# The reference takes another length unless told.
[[ $BACKSTORE != fileio ]] || echo $limit > "${lun_path[vol0]}/attrib/max_write_same_len"
export_luns
ok "login" login
is "$(queue 0 write_zeroes_max_bytes)" 1310720 "the initiator's write_zeroes_max_bytes"

head -c 512 /dev/urandom > "$SCRATCH/payload"
head -c 512 /dev/urandom > "$SCRATCH/payload2"
{ head -c 511 /dev/zero; printf '\x01'; } > "$SCRATCH/almost-zero"
ok "16 MiB are written" fill_random 0 $((16 * mib))

same() { bounded 30 sg_write_same -v "$@" "$DEV"; }

ok "WRITE SAME(16) of $limit blocks" same --16 --lba=4096 --num=$limit --in="$SCRATCH/payload"
model_same $((4096 * 512)) $limit "$SCRATCH/payload"
ok "WRITE SAME(10) of $limit blocks" same --10 --lba=8192 --num=$limit --in="$SCRATCH/payload2"
model_same $((8192 * 512)) $limit "$SCRATCH/payload2"
ok "WRITE SAME(16) of 7 blocks at an odd place" same --16 --lba=13 --num=7 --in="$SCRATCH/payload"
model_same $((13 * 512)) 7 "$SCRATCH/payload"
ok "a payload with one bit set is not zero" same --16 --lba=101 --num=100 --in="$SCRATCH/almost-zero"
model_same $((101 * 512)) 100 "$SCRATCH/almost-zero"
ok "UNMAP with a payload that is not zero writes it" same --16 --unmap --lba=12001 --num=64 --in="$SCRATCH/payload2"
model_same $((12001 * 512)) 64 "$SCRATCH/payload2"
both_match "payloads" 0 vol0

refused "WRITE SAME(16) of $((limit + 1)) blocks is refused" "$INVALID_FIELD" \
    same --16 --lba=4096 --num=$((limit + 1)) --in="$SCRATCH/payload2"
refused "WRITE SAME(10) of $((limit + 1)) blocks is refused" "$INVALID_FIELD" \
    same --10 --lba=4096 --num=$((limit + 1)) --in="$SCRATCH/payload2"
refused "WRITE SAME(16) of $((limit + 1)) blocks with UNMAP is refused" "$INVALID_FIELD" \
    same --16 --unmap --lba=4096 --num=$((limit + 1))
refused "WRITE SAME(16) of 65536 blocks is refused" "$INVALID_FIELD" \
    same --16 --lba=4096 --num=65536 --in="$SCRATCH/payload2"
refused "WRITE SAME(16) of no blocks is refused" "$INVALID_FIELD" \
    same --16 --lba=4096 --num=0 --in="$SCRATCH/payload2"
refused "WRITE SAME(10) of no blocks is refused" "$INVALID_FIELD" \
    same --10 --lba=4096 --num=0 --in="$SCRATCH/payload2"
refused "beyond the end by one block" "$OUT_OF_RANGE" \
    same --16 --lba=$((blocks - 2)) --num=3 --in="$SCRATCH/payload2"
refused "from the end on" "$OUT_OF_RANGE" same --16 --lba=$blocks --num=1 --in="$SCRATCH/payload2"
refused "from the largest LBA there is" "$OUT_OF_RANGE" \
    sg_raw -s 512 -i "$SCRATCH/payload2" "$DEV" 93 00 ff ff ff ff ff ff ff ff 00 00 00 01 00 00
refused "WRITE SAME(10) beyond the end" "$OUT_OF_RANGE" \
    same --10 --lba=0xffffffff --num=2 --in="$SCRATCH/payload2"
refused "ANCHOR is refused" "$INVALID_FIELD" same --16 --unmap --anchor --lba=4096 --num=8
refused "WRPROTECT is refused" "$INVALID_FIELD" \
    same --16 --wrprotect=1 --lba=4096 --num=8 --in="$SCRATCH/payload2"
both_match "what was refused wrote nothing" 0 vol0
is "$(dd if="$DEV" bs=512 skip=$((blocks - 2)) count=2 status=none | tr -d '\0' | wc -c)" 0 \
    "nor at the end of the disk"

full=$(allocated "$(backing vol0)")
ok "a payload of zeros, $limit blocks" same --16 --lba=4096 --num=$limit --in=/dev/zero
model_zero $((4096 * 512)) $((limit * 512))
is "$(written_bytes "$(backing vol0)" $((4096 * 512)) $((limit * 512)))" 0 "no zeros were written there"
ok "the file did not grow" test "$(allocated "$(backing vol0)")" -le "$full"

full=$(allocated "$(backing vol0)")
ok "UNMAP, $limit blocks" same --16 --unmap --lba=8192 --num=$limit
model_zero $((8192 * 512)) $((limit * 512))
now=$(allocated "$(backing vol0)")
ok "1280 KiB of space came back" test $((full - now)) -ge $((limit * 512 - 65536))

ok "UNMAP, 1001 blocks" same --16 --unmap --lba=20001 --num=1001
model_zero $((20001 * 512)) $((1001 * 512))
refused "NDOB is refused: a write-protected mapped LUN would let it pass" "$INVALID_FIELD" \
    same --16 --ndob --lba=16384 --num=8
both_match "zeroed" 0 vol0

ok "blkdiscard -z of 10 MiB" traced bounded 30 blkdiscard -f -z -o $((4 * mib)) -l $((10 * mib)) "$DEV"
model_zero $((4 * mib)) $((10 * mib))
is "$(sent 0 'WRITE_SAME_16 .*txlen=2560 ') of $(sent 0 WRITE_SAME)" "8 of 8" "went as 8 commands of 1280 KiB"
both_match "after blkdiscard -z" 0 vol0

listed=$(sg_opcodes -n "$DEV" 2>&1)
like "$listed" '^ *41 .*Write same\(10\)' "REPORT SUPPORTED OPERATION CODES has WRITE SAME(10)"
like "$listed" '^ *93 .*Write same\(16\)' "REPORT SUPPORTED OPERATION CODES has WRITE SAME(16)"
