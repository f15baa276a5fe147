#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What administrators run on a disk shows a good one: its size, its names, its health, how it wants
# to be used. With blocks of 512 bytes and of 4096. No tool hangs, and none makes the initiator abort.
# timeout: 240
. "$(dirname "$0")/disk.sh"
[[ $BACKSTORE == ballast ]] || skip_all "they show what Ballast says of itself"

mib=$((1 << 20))
fresh_daemon
file_lun vol0 64M
file_lun vol1 64M block_size=4096
export_luns
ok "login" login

# said COMMAND...: its words in $said, its status in $status.
said() {
    status=0
    bounded 60 "$@" > "$SCRATCH/said" 2>&1 || status=$?
    said=$(< "$SCRATCH/said")
    printf '%s\n' "$said" >&9
}

for n in 0 1; do
    name=vol$n block=$((n ? 4096 : 512)) disk=$(dev $n)
    it="blocks of $block:"
    serial=$(serial_of $name)
    naa=6001405$(tr -d - <<< "$serial" | cut -c 1-25)

    # ---- its health ----
    said smartctl -H "$disk"
    is "$status" 0 "$it smartctl -H"
    like "$said" 'SMART Health Status: OK' "$it it is well"
    ((n)) || { said smartctl -a "$disk"; is "$status" 0 "$it smartctl -a"; }
    said smartctl -x "$disk"
    # 4: it has no log of scans in the background.
    is "$((status & ~4))" 0 "$it smartctl -x"
    for line in 'Vendor: +BALLAST' "Product: +$name" 'User Capacity: +67,108,864 bytes' "Logical block size: +$block bytes" \
        'LU is thin provisioned, LBPRZ=1' "Logical Unit id: +0x$naa" "Serial number: +$serial" 'Device type: +disk' \
        'Writeback Cache is: +Enabled' 'SMART Health Status: OK' 'grown defect list: 0' 'read: .* 0$' 'write: .* 0$'; do
        like "$said" "$line" "$it smartctl -x: $line"
    done
    ok "$it the default self-test" sg_senddiag --test "$disk"
    # It asks in ATA's words, which no SCSI disk understands.
    said hdparm -I -i "$disk"
    isnt "$status" 124 "$it hdparm ends"

    # ---- how it wants to be used ----
    columns=LOG-SEC,PHY-SEC,MIN-IO,ALIGNMENT,DISC-ALN,DISC-GRAN,DISC-MAX,RO,RM,SIZE,TYPE,TRAN,MODEL,SERIAL,WWN
    is "$(lsblk -dnbo $columns "$disk" | xargs)" \
        "$block 4096 4096 0 0 4096 $((512 * mib)) 0 0 $((64 * mib)) disk iscsi $name $serial 0x$naa" "$it lsblk"
    is "$(blockdev --getss --getpbsz --getiomin --getalignoff --getro --getmaxsect --getsize64 "$disk" | paste -sd ' ')" \
        "$block 4096 4096 0 0 2048 $((64 * mib))" "$it blockdev"
    properties=$(udevadm info -q property "$disk")
    for line in "ID_SERIAL=3$naa" "ID_SERIAL_SHORT=$naa" "ID_SCSI_SERIAL=$serial" "ID_WWN=0x${naa:0:16}" "ID_WWN_WITH_EXTENSION=0x$naa" \
        'ID_VENDOR=BALLAST' "ID_MODEL=$name" 'ID_TYPE=disk'; do
        like "$properties" "^$line\$" "$it udev: $line"
    done
    is "$(readlink -e "/dev/disk/by-id/scsi-3$naa")" "$disk" "$it udev: the link by its serial number"
    said sg_vpd -a "$disk"
    is "$status" 0 "$it sg_vpd -a"
    is "$(grep -c '^[A-Z].* VPD page' <<< "$said")" "$(grep -c '^  .* \[[a-z]\{2,4\}\]$' <<< "$said")" "$it it shows each page that the list names"

    # ---- mode pages ----
    said sdparm -a "$disk"
    is "$status" 0 "$it sdparm -a"
    for line in 'WCE +1 +\[cha: y, def: +1, sav: +1\]' 'RCD +0 ' 'SWP +0 +\[cha: y' 'D_SENSE +0 ' 'QERR +0 ' 'DEXCPT +0 '; do
        like "$said" "^ +$line" "$it sdparm -a: $line"
    done
    # Linux asks for the mode pages again when it reads the partitions again.
    cache_is() { blockdev --rereadpt "$disk" && [[ $(queue "$n" write_cache) == "$1" ]]; }
    ok "$it sdparm switches the cache off" sdparm --quiet --save --clear=WCE "$disk"
    like "$(sdparm --get=WCE "$disk")" 'WCE +0 +\[cha: y, def: +1, sav: +0\]' "$it and saves that"
    ok "$it and the initiator notices" wait_for 20 "write through" cache_is "write through"
    ok "$it sdparm switches it on" sdparm --quiet --set=WCE "$disk"
    ok "$it and the initiator notices that, too" wait_for 20 "write back" cache_is "write back"

    # ---- partitions ----
    said sfdisk "$disk" <<< $'label: gpt\nsize=40M, name=one\nname=two'
    is "$status" 0 "$it sfdisk makes two partitions"
    ok "$it sfdisk --verify" sfdisk --verify "$disk"
    settle
    ok "$it partprobe" partprobe "$disk"
    settle
    is "$(sfdisk -J "$disk" | jq -c '.partitiontable | [.label, .sectorsize, (.partitions[] | .name, .size)] | .[:4]')" \
        "[\"gpt\",$block,\"one\",$((40 * mib / block))]" "$it sfdisk reads them back"
    is "$(blockdev --getsize64 "${disk}1")" $((40 * mib)) "$it the kernel has the first"
    like "$(parted -s -m "$disk" unit B print | tr -d '\n')" ";1:${mib}B:$((41 * mib - 1))B:$((40 * mib))B::one:" "$it parted sees the same"
    ok "$it aligned as the disk wants it" parted -s "$disk" align-check optimal 1

    # ---- a file system, and what fstrim frees ----
    ok "$it ext4" mkfs.ext4 -q -E nodiscard "${disk}1"
    mount "${disk}1" "$MNT"
    head -c $((4 * mib)) /dev/urandom | tee "$SCRATCH/kept" > "$MNT/kept"
    head -c $((16 * mib)) /dev/urandom > "$MNT/big"
    sync -f "$MNT"
    rm "$MNT/big"
    sync -f "$MNT"
    full=$(allocated "$(backing $name)")
    said fstrim -v "$MNT"
    like "$said" '\([1-9][0-9]* bytes\) trimmed' "$it fstrim"
    now=$(allocated "$(backing $name)")
    ok "$it what was deleted came back (of $full, $now are left)" test $((full - now)) -ge $((15 * mib))
    umount "$MNT"
    mount "${disk}1" "$MNT"
    ok "$it what was not is there" cmp "$SCRATCH/kept" "$MNT/kept"
    umount "$MNT"
    is "$(wipefs --noheadings --output TYPE "${disk}1" | paste -sd ' ')" ext4 "$it wipefs finds the file system"
    ok "$it wipefs takes both signatures away" wipefs -q -a "${disk}1" "$disk"
    is "$(wipefs "$disk")" "" "$it and finds nothing then"
    settle
    ok "$it partprobe" partprobe "$disk"
    settle
    not_ok "$it the partitions are gone" test -b "${disk}1"

    # ---- discards that fit nothing ----
    ok "$it 4 MiB are written" fill_random $n $((4 * mib))
    discard() { bounded 60 blkdiscard -f -o "$1" -l "$2" "$disk" && model_zero "$1" "$2"; }
    ok "$it one block is discarded" discard $((5 * block)) "$block"
    ok "$it an odd number of blocks at an odd block" discard $((101 * block)) $((33 * block))
    ok "$it a large one at an odd block" discard $((2 * mib + block)) $((mib + 3 * block))
    ok "$it blocks are zeroed" bounded 60 blkdiscard -f -z -o $((301 * block)) -l $((7 * block)) "$disk"
    model_zero $((301 * block)) $((7 * block))
    said blkdiscard -f -o $((block / 2)) -l "$block" "$disk"
    like "$said" 'not aligned' "$it half a block is not for discards"
    said blkdiscard -f -s "$disk"
    like "$said" 'not supported' "$it a secure discard, which it does not have, is refused"
    both_match "$it after all that" $n $name
done
unlike "$(kernel_since)" 'abort|reset|I/O error|timing out|rejecting' "no tool made the kernel complain"
unlike "$(< "$DAEMON_LOG")" '\[ERROR\]|abort' "or Ballast"
done_testing
