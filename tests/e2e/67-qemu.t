#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# QEMU's own initiator, libiscsi's, copies images to a LUN and back, and writes, zeroes, discards
# and flushes as a virtual machine's disk does. It begins no session of the kernel's.
# timeout: 240
. "$(dirname "$0")/disk.sh"
command -v qemu-img > /dev/null || skip_all "qemu-img is not installed in this image"
plan 23

mib=$((1 << 20))
fresh_daemon
file_lun vol0 64M
export_luns
name=iqn.2026-01.org.ballast:qemu
mkdir -p "$(tpg)/acls/$name/lun_0" && ln -s "$(tpg)/lun/lun_0" "$(tpg)/acls/$name/lun_0/lun"
lun=driver=raw,file.driver=iscsi,file.transport=tcp,file.portal=$PORTAL,file.target=$IQN,file.lun=0,file.initiator-name=$name
on_lun() { # COMMAND...: of qemu-io. It does not tell by its status whether a pattern was there.
    local command commands=() said
    for command in "$@"; do commands+=(-c "$command"); done
    said=$(bounded 60 qemu-io -t none --image-opts "$lun" "${commands[@]}" 2>&1) || { echo "$said"; return 1; }
    echo "$said"
    ! grep -qiE 'failed|error|invalid' <<< "$said"
}

like "$(qemu-img info --image-opts "$lun")" 'virtual size: 64 MiB' "qemu-img info: the size"

# ---- images ----
# Random bytes, and between them zeros that must replace what is there.
ok "all of the disk is written" on_lun "write -P 0x5a 0 64M" flush
full=$(allocated "$(backing vol0)")
truncate -s 64M "$MODEL"
head -c $((8 * mib)) /dev/urandom | tee "$SCRATCH/random" | dd of="$MODEL" bs=1M conv=notrunc status=none
dd if="$SCRATCH/random" of="$MODEL" bs=512 seek=$((30 * 2048 + 3)) conv=notrunc status=none
dd if="$SCRATCH/random" of="$MODEL" bs=1M seek=56 conv=notrunc status=none
ok "an image in qcow2" qemu-img convert -f raw -O qcow2 "$MODEL" "$SCRATCH/image.qcow2"
ok "qemu-img convert to the LUN" bounded 100 qemu-img convert -n -t none -f qcow2 --target-image-opts "$SCRATCH/image.qcow2" "$lun"
ok "the file behind it has the image" matches_model "$(backing vol0)"
now=$(allocated "$(backing vol0)")
ok "where the image has nothing, space came back (of $full, $now are left)" test $((full - now)) -ge $((30 * mib))
same() { bounded 60 qemu-img compare --image-opts "$lun" "driver=$1,file.filename=$2"; }
ok "qemu-img compare: the LUN is the image" same qcow2 "$SCRATCH/image.qcow2"
map=$(qemu-img map --output=json --image-opts "$lun")
is "$(jq '[.[] | select(.zero | not) | .length] | add < 26 * 1048576' <<< "$map")" true "qemu-img map: holes are told"
ok "qemu-img convert from the LUN" bounded 100 qemu-img convert --image-opts -O raw "$lun" "$SCRATCH/back.raw"
ok "gives the image back" cmp "$SCRATCH/back.raw" "$MODEL"
ok "with its holes" test "$(allocated "$SCRATCH/back.raw")" -le $((26 * mib))

# ---- a virtual machine's disk ----
ok "write and flush" on_lun "write -P 0x11 1M 3M" flush "read -P 0x11 1M 3M"
ok "write with FUA" on_lun "write -f -P 0x22 4M 64k" "read -P 0x22 4M 64k"
ok "write of odd blocks" on_lun "write -P 0x33 5M 512" "write -P 0x33 5243392 1536" "read -P 0x33 5M 2k" "read -P 0 8M 512"
ok "several at once" on_lun "aio_write -P 0x44 10M 1M" "aio_write -P 0x55 11M 1M" "aio_write -P 0x66 12M 1M" aio_flush \
    "read -P 0x44 10M 1M" "read -P 0x55 11M 1M" "read -P 0x66 12M 1M"
ok "another process reads it" on_lun "read -P 0x11 1M 3M" "read -P 0x22 4M 64k" "read -P 0x55 11M 1M"
not_ok "(the look at a pattern can fail)" on_lun "read -P 0x12 1M 3M"
full=$(allocated "$(backing vol0)")
ok "zeroes that may unmap" on_lun "write -z -u 1M 2M" "read -P 0 1M 2M" "read -P 0x11 3M 1M"
ok "discard" on_lun "discard 11M 1M" "read -P 0x44 10M 1M" "read -P 0 11M 1M" "read -P 0x66 12M 1M"
now=$(allocated "$(backing vol0)")
ok "both gave space back (of $full, $now are left)" test $((full - now)) -ge $((3 * mib - 65536))
ok "zeroes that may not unmap" on_lun "write -z 12M 1M" "read -P 0 12M 1M"
ok "qemu-img bench, with flushes" bounded 100 qemu-img bench -w -c 200 -d 16 -s 4096 -t none --flush-interval=32 --image-opts "$lun"
is "$(kernel_complaints)" "" "the kernel complains of nothing"
