# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests that cut the power of disks. The kernel's log-writes target records what a disk is told,
# in the order in which it became durable; $TOOLS/replay-writes makes each state again that the disk
# had, or may have had. Sourced instead of disk.sh.
. "$(dirname "${BASH_SOURCE[0]}")/disk.sh"
[[ $BACKSTORE == ballast ]] || skip_all "judges our stores"
modprobe dm-log-writes || skip_all "this kernel has no log-writes target"

# Cuts are made on copies that share their blocks.
IMAGE=/srv/$TEST_NAME.xfs
make_room() {
    truncate -s 3G "$IMAGE" && mkfs.xfs -q -f "$IMAGE" && mkdir -p "$MNT" && mount -o loop "$IMAGE" "$MNT"
}

# make_disk NAME SIZE: /dev/mapper/NAME.recorded
disks=()
declare -A loop=() record_loop=() applied=()
make_disk() {
    disks+=("$1") applied[$1]=0
    truncate -s "$2" "$MNT/$1.raw" && truncate -s 1G "$MNT/$1.record" &&
        loop[$1]=$(losetup -f --show "$MNT/$1.raw") && record_loop[$1]=$(losetup -f --show "$MNT/$1.record") &&
        dmsetup create "$1.recorded" --table "0 $(blockdev --getsz "${loop[$1]}") linear ${loop[$1]} 0"
}
# record NAME: from now on; $MNT/NAME.base is what it has now.
record() {
    local status=0
    dmsetup suspend "$1.recorded" || return 1
    cp --reflink=always "$MNT/$1.raw" "$MNT/$1.base" && dmsetup load "$1.recorded" --table \
        "0 $(blockdev --getsz "${loop[$1]}") log-writes ${loop[$1]} ${record_loop[$1]}" || status=1
    dmsetup resume "$1.recorded" && return $status
}
end_records() {
    local disk status=0
    for disk in "${disks[@]}"; do bounded 20 dmsetup remove --retry "$disk.recorded" || status=1; done
    return $status
}
# cut_power NAME ENTRIES: $MNT/NAME.cut has what the first ENTRIES of the record left. They never decrease.
cut_power() {
    "$TOOLS/replay-writes" apply "$MNT/$1.record" "${applied[$1]}" "$2" "$MNT/$1.base" || return 1
    applied[$1]=$2
    cp --reflink=always "$MNT/$1.base" "$MNT/$1.cut"
}

test_cleanup() {
    local disk
    clear_target
    declare -F before_the_disks_go > /dev/null && before_the_disks_go
    for disk in "${disks[@]}"; do
        [[ ! -e /dev/mapper/$disk.recorded ]] || bounded 20 dmsetup remove --retry "$disk.recorded" 2>&9
        losetup -d "${loop[$disk]}" "${record_loop[$disk]}" 2>&9
    done
    bounded 20 umount "$MNT" 2>&9
    rm -f "$IMAGE"
}
