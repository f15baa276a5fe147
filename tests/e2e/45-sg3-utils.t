#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One command at a time, as sg3-utils sends them: what the disk says of itself agrees with itself,
# with configfs, and with what it then does.
# timeout: 240
. "$(dirname "$0")/disk.sh"

mib=$((1 << 20))
blocks=$((64 * mib / 512))
fresh_daemon
file_lun vol0 64M
export_luns
ok "login" login
head -c 4096 /dev/urandom > "$SCRATCH/eight"
head -c 512 /dev/urandom > "$SCRATCH/one"
fill_random 0 $((4 * mib))

# ---- INQUIRY ----
inquiry=$(sg_inq "$DEV" 2>&1)
like "$inquiry" 'Vendor identification: BALLAST' "INQUIRY names a vendor"
like "$inquiry" 'Product identification: +vol0' "INQUIRY names the volume"
like "$inquiry" 'CmdQue=1' "INQUIRY: takes more than one command at a time"
pages=$(sg_vpd -p sv -H -r "$DEV" 2> /dev/null | xxd -p 2> /dev/null || sg_vpd -p sv -r "$DEV" | od -An -v -tx1 | tr -d ' \n')
pages=${pages:8}
ok "the list of VPD pages is one" test ${#pages} -ge 12
while [[ -n $pages ]]; do
    ok "VPD page ${pages:0:2}, which it lists, is there" sg_vpd --raw -p "0x${pages:0:2}" "$DEV"
    pages=${pages:2}
done
refused "a VPD page that it does not list is refused" "$INVALID_FIELD|invalid field" \
    sg_raw -r 255 "$DEV" 12 01 7f 00 ff 00
serial=$(serial_of vol0)
like "$(sg_vpd -p sn "$DEV")" "$serial" "the serial number is that of configfs"
naa=6001405$(tr -d - <<< "$serial" | cut -c 1-25)
like "$(sg_vpd -p di "$DEV")" "0x$naa" "the NAA identifier is made of it as LIO does"
ok "and udev makes a link of it" test -b "/dev/disk/by-id/wwn-0x$naa"
like "$(sg_vpd -p bl "$DEV")" 'Write same non-zero \(WSNZ\): 1' "Block Limits: WSNZ"
is "$(block_limit 'Maximum write same length')" 2560 "Block Limits: 2560 blocks of WRITE SAME"
ok "Block Limits: UNMAP length" test "$(block_limit 'Maximum unmap LBA count')" -gt 0
provisioning=$(sg_vpd -p lbpv "$DEV")
for claim in LBPU LBPWS LBPWS10 LBPRZ; do
    like "$provisioning" "\b$claim(\): |=)(0x)?1" "Logical Block Provisioning: $claim"
done
ok "Block Device Characteristics" sg_vpd -p bdc "$DEV"

# ---- log pages, defects ----
for page in 0 0,0xff 2 3 0x0c 0x19 0x2f; do
    ok "LOG SENSE, page $page" sg_logs --page="$page" "$DEV"
done
statistics=$(sg_logs --page=0x19 "$DEV")
like "$statistics" '[Nn]umber of write commands *[=:] *(0x)?[1-9a-f]' "general statistics have counted writes"
like "$statistics" '[Ii]dle time intervals *[=:] *(0x)?[1-9a-f]' "and how long the LUN was idle"
like "$(sg_logs --page=0x2f "$DEV")" 'asc *= *0x0' "and nothing is exceptional"
refused "LOG SENSE, a page that there is not" "$INVALID_FIELD|invalid field|field in cdb illegal" sg_logs --page=0x0d "$DEV"
like "$(sg_reassign --grown "$DEV" 2>&1)" 'Elements in .*: 0' "no defect has grown"

# ---- capacity, mode pages, state ----
like "$(sg_readcap "$DEV")" "Last LBA=$((blocks - 1)) .*Number of logical blocks=$blocks" "READ CAPACITY(10)"
capacity=$(sg_readcap --16 "$DEV")
like "$capacity" "Last LBA=$((blocks - 1)) " "READ CAPACITY(16)"
like "$capacity" 'lbpme=1, lbprz=1' "READ CAPACITY(16): thin, and zero where nothing was written"
for six in '' --six; do
    ok "MODE SENSE${six:+(6)}, all pages" sg_modes $six -a "$DEV"
    ok "MODE SENSE${six:+(6)}, caching" sg_modes $six -p 8 "$DEV"
    ok "MODE SENSE${six:+(6)}, control, changeable values" sg_modes $six -p 0xa -c 1 "$DEV"
    refused "MODE SENSE${six:+(6)}, a page that there is not" "$INVALID_FIELD|invalid field" \
        sg_modes $six -p 0x1f "$DEV"
done
ok "MODE SENSE, all pages, saved values" sg_modes -a -c 3 "$DEV"
like "$(sg_modes -p 8 -H "$DEV" 2>&1)" '.' "MODE SENSE in hex"
like "$(cat "/sys/block/$(basename "$DEV")/queue/write_cache")" 'write back' "the initiator knows of the write cache"
is "$(cat "/sys/block/$(basename "$DEV")/queue/fua")" 1 "and of FUA"
ok "TEST UNIT READY, 8 times" sg_turs --num=8 "$DEV"
ok "REQUEST SENSE" sg_requests "$DEV"
ok "REQUEST SENSE, descriptor format" sg_requests --desc "$DEV"
ok "START" sg_start --start "$DEV"
ok "REPORT LUNS" sg_luns "$DEV"
ok "PERSISTENT RESERVE IN, which the kernel answers" sg_persist -k "$DEV"

# ---- reading and writing: every length of CDB ----
for cdb in 6 10 12 16; do
    ok "WRITE($cdb)" sg_dd if="$SCRATCH/eight" of="$DEV" bs=512 count=8 seek=$((cdb * 100)) cdbsz=$cdb blk_sgio=1
    dd if="$SCRATCH/eight" of="$MODEL" bs=512 seek=$((cdb * 100)) conv=notrunc status=none
    ok "READ($cdb)" sg_dd if="$DEV" of="$SCRATCH/got" bs=512 count=8 skip=$((cdb * 100)) cdbsz=$cdb blk_sgio=1
    ok "READ($cdb) gives what WRITE($cdb) took" cmp "$SCRATCH/eight" "$SCRATCH/got"
done
ok "WRITE(10) with FUA and DPO" sg_dd if="$SCRATCH/eight" of="$DEV" bs=512 count=8 seek=2000 oflag=fua,dpo,sgio
dd if="$SCRATCH/eight" of="$MODEL" bs=512 seek=2000 conv=notrunc status=none
ok "READ(10) with FUA" sg_dd if="$DEV" iflag=fua,sgio of="$SCRATCH/got" bs=512 count=8 skip=2000
ok "gives what was written" cmp "$SCRATCH/eight" "$SCRATCH/got"
is "$blocks" $((0x20000)) "(the last block is 1ffff)"
refused "READ(10) beyond the end" "$OUT_OF_RANGE" \
    sg_raw -r 1024 "$DEV" 28 00 00 01 ff ff 00 00 02 00
refused "READ(16) at the largest LBA there is" "$OUT_OF_RANGE" \
    sg_raw -r 512 "$DEV" 88 00 ff ff ff ff ff ff ff ff 00 00 00 01 00 00
refused "WRITE(16) whose end wraps around" "$OUT_OF_RANGE" \
    sg_raw -s 1024 -i "$SCRATCH/eight" "$DEV" 8a 00 ff ff ff ff ff ff ff ff 00 00 00 02 00 00
ok "READ(10) of no blocks" sg_raw "$DEV" 28 00 00 00 00 00 00 00 00 00
refused "READ(10) with RDPROTECT" "$INVALID_FIELD|invalid field" \
    sg_raw -r 512 "$DEV" 28 20 00 00 00 00 00 00 01 00

# ---- flush, verify, unmap ----
ok "SYNCHRONIZE CACHE(10)" sg_sync "$DEV"
ok "SYNCHRONIZE CACHE(16)" sg_sync --16 "$DEV"
ok "SYNCHRONIZE CACHE of a range" sg_sync --lba=8 --count=8 "$DEV"
refused "SYNCHRONIZE CACHE beyond the end" "$OUT_OF_RANGE" sg_sync --lba=$blocks --count=1 "$DEV"
ok "VERIFY(10) without data" sg_verify --lba=0 --count=1024 "$DEV"
ok "VERIFY(16) without data" sg_verify --16 --lba=0 --count=1024 "$DEV"
ok "VERIFY(10) with BYTCHK 1, equal" sg_verify --ebytchk=1 --lba=600 --count=8 --in="$SCRATCH/eight" --ndo=4096 "$DEV"
refused "VERIFY(10) with BYTCHK 1, one block off" 'miscompare' \
    sg_verify -v --ebytchk=1 --lba=601 --count=8 --in="$SCRATCH/eight" --ndo=4096 "$DEV"
refused "VERIFY beyond the end" "$OUT_OF_RANGE" sg_verify -v --lba=$blocks --count=1 "$DEV"
ok "UNMAP" sg_unmap --force --lba=4096 --num=64 "$DEV"
model_zero $((4096 * 512)) $((64 * 512))
ok "UNMAP of two ranges" sg_unmap --force --lba=5000,6001 --num=3,5 "$DEV"
model_zero $((5000 * 512)) $((3 * 512))
model_zero $((6001 * 512)) $((5 * 512))
ok "UNMAP of no blocks" sg_unmap --force --lba=100 --num=0 "$DEV"
refused "UNMAP beyond the end" "$OUT_OF_RANGE" sg_unmap -v --force --lba=$((blocks - 1)) --num=2 "$DEV"
both_match "after all that" 0 vol0

# ---- what it claims, and what it does not ----
listed=$(sg_opcodes "$DEV" 2>&1)
for name in 'Test Unit Ready' 'Request Sense' 'Read\(6\)' 'Write\(6\)' Inquiry 'Mode sense\(6\)' \
    'Start stop unit' 'Read capacity\(10\)' 'Read\(10\)' 'Write\(10\)' 'Verify\(10\)' \
    'Synchronize cache\(10\)' 'Write same\(10\)' Unmap 'Mode sense\(10\)' 'Read\(16\)' 'Write\(16\)' \
    'Verify\(16\)' 'Synchronize cache\(16\)' 'Write same\(16\)' 'Read capacity\(16\)' \
    'Report supported operation codes' 'Read\(12\)' 'Write\(12\)'; do
    like "${listed,,}" "${name,,}" "REPORT SUPPORTED OPERATION CODES has ${name//\\/}"
done
like "$(sg_opcodes --opcode=0x93 "$DEV" 2>&1)" 'supported' "WRITE SAME(16), asked for alone"
like "$(sg_opcodes --opcode=0x04 "$DEV" 2>&1)" 'NOT supported' "FORMAT UNIT, asked for alone"
ok "with timeouts descriptors" sg_opcodes --rctd "$DEV"
# Everything that stands in the list and that the tests above have not sent.
if grep -qi 'Write and verify(10)' <<< "$listed"; then
    ok "WRITE AND VERIFY(10)" sg_write_verify --lba=3000 --num=8 --in="$SCRATCH/eight" "$DEV"
    dd if="$SCRATCH/eight" of="$MODEL" bs=512 seek=3000 conv=notrunc status=none
fi
if grep -qi 'Compare and write' <<< "$listed"; then
    cat "$SCRATCH/eight" "$SCRATCH/eight" > "$SCRATCH/sixteen"
    head -c 512 "$SCRATCH/eight" > "$SCRATCH/compare"
    cat "$SCRATCH/compare" "$SCRATCH/one" > "$SCRATCH/compare-and-write"
    ok "COMPARE AND WRITE, equal" sg_compare_and_write --lba=1000 --num=1 --xferlen=1024 --in="$SCRATCH/compare-and-write" "$DEV"
    dd if="$SCRATCH/one" of="$MODEL" bs=512 seek=1000 conv=notrunc status=none
    refused "COMPARE AND WRITE, different" miscompare \
        sg_compare_and_write -v --lba=1000 --num=1 --xferlen=1024 --in="$SCRATCH/compare-and-write" "$DEV"
fi
if grep -qi 'Get LBA status' <<< "$listed"; then
    ok "GET LBA STATUS" sg_get_lba_status --lba=0 "$DEV"
    like "$(sg_get_lba_status --lba=$((40 * mib / 512)) "$DEV")" 'deallocated|unmapped' "GET LBA STATUS of what was never written"
fi
grep -qi 'Pre-fetch(10)' <<< "$listed" && ok "PRE-FETCH(10)" sg_raw "$DEV" 34 00 00 00 00 00 00 00 08 00
grep -qi 'Pre-fetch(16)' <<< "$listed" && ok "PRE-FETCH(16)" sg_raw "$DEV" 90 00 00 00 00 00 00 00 00 00 00 00 00 08 00 00
both_match "after these as well" 0 vol0
refused "FORMAT UNIT is refused" "$INVALID_OPCODE" sg_format --format --quick "$DEV"
refused "SANITIZE is refused" "$INVALID_OPCODE" sg_sanitize --overwrite --pattern="$SCRATCH/one" --quick "$DEV"
refused "an opcode that there is not" "$INVALID_OPCODE" sg_raw "$DEV" c1 00 00 00 00 00
refused "a service action that there is not" "$INVALID_FIELD|$INVALID_OPCODE" \
    sg_raw -r 32 "$DEV" 9e 1f 00 00 00 00 00 00 00 00 00 00 00 20 00 00
both_match "which wrote nothing" 0 vol0
done_testing
