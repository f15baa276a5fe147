#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two initiators share a LUN: the same disk to both, what one writes the other reads, and neither
# disturbs the other under load.
# timeout: 180
. "$(dirname "$0")/disk.sh"
plan 9

second=$INITIATOR-second
test_cleanup() {
    bounded 30 iscsiadm -m node -I second -U all >&9 2>&1
    iscsiadm -m iface -I second --op delete >&9 2>&1
}

fresh_daemon
file_lun vol0 64M
export_luns
tpg=$(tpg)
mkdir "$tpg/acls/$second" "$tpg/acls/$second/lun_0" && ln -s "$tpg/lun/lun_0" "$tpg/acls/$second/lun_0/lun"
ok "the first logs in" login
first_disk=$DEV

iscsiadm -m iface -I second --op new >&9 2>&1
iscsiadm -m iface -I second --op update -n iface.transport_name -v tcp >&9
iscsiadm -m iface -I second --op update -n iface.initiatorname -v "$second" >&9
iscsiadm -m node -T "$IQN" -p "$PORTAL" -I second --op new >&9
ok "the second logs in" bounded 60 iscsiadm -m node -T "$IQN" -p "$PORTAL" -I second --login
other_disk() {
    local disk
    for disk in /sys/block/sd*; do
        [[ ${disk##*/} != "$(basename "$first_disk")" ]] && { echo "/dev/${disk##*/}"; return 0; }
    done
    return 1
}
ok "it has a disk" wait_for 20 "the second disk" other_disk
second_disk=$(other_disk)
settle
serial() { sg_vpd -p di "$1" | grep -o '0x6001405.*'; }
is "$(serial "$second_disk")" "$(serial "$first_disk")" "both have the same identity"

head -c 1048576 /dev/urandom > "$MODEL"
ok "the first writes" dd if="$MODEL" of="$first_disk" bs=64k oflag=direct conv=notrunc status=none
dd if="$second_disk" of="$SCRATCH/got" bs=64k count=16 iflag=direct status=none
ok "the second reads it" cmp "$MODEL" "$SCRATCH/got"

fio --ioengine=libaio --direct=1 --verify=crc32c --verify_fatal=1 --rw=randwrite --bsrange=4k-128k --iodepth=16 \
    --size=12m --output="$TEST_DIR/fio.log" --aux-path="$TEST_DIR" \
    --name=one --filename="$first_disk" --offset=4m \
    --name=two --filename="$second_disk" --offset=32m 3>&- >&9 2>&1 &
both=$!
ok "both write and verify at once" wait_for 100 "fio's end" gone $both
wait $both
is $? 0 "without an error"
ok "the second leaves, the first stays" eval '
    bounded 30 iscsiadm -m node -T "$IQN" -p "$PORTAL" -I second --logout &&
    dd if="$first_disk" of=/dev/null bs=64k count=16 iflag=direct status=none'
