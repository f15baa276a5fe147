#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disk under a LUN loses power. All that was answered before a flush, was written with FUA, or
# while the LUN's cache was off, is there afterwards, and nothing that nobody wrote. A file that
# Ballast has made for the LUN is there from the moment the LUN is. With the page cache and without,
# on a block device and on file systems, which replay their journals.
# Power is cut after each batch of writes. BALLAST_LONG=1: all of these, and cuts within batches:
# E2E_EVERY, after one of so many flushes that the disk got (10). E2E_WAYS: the letters of
# synced-writes, of the batches.
# timeout: 3000
. "$(dirname "$0")/power-cut.sh"

# NAME, which begins with the file system, if it has one; SIZE; the LUN's cache
stores=("device 24M direct" "ext4 64M direct" "ext4b 64M buffered")
ways=${E2E_WAYS:-usut}
if [[ -n ${BALLAST_LONG-} ]]; then
    stores+=("deviceb 24M buffered" "xfs 320M direct" "xfsb 320M buffered")
    ways=${E2E_WAYS:-suusuususuuuusssuusuutttttttt}
fi
plan $((2 + 7 * ${#stores[@]}))
cached=${ways%%t*}
seed=${BALLAST_SEED:-$RANDOM}
note "BALLAST_SEED=$seed"
lun_size=$((16 << 20))

# What nobody asks to be durable stays in the cache.
before=$(sysctl -n vm.dirty_writeback_centisecs)
sysctl -q vm.dirty_writeback_centisecs=0
before_the_disks_go() {
    local place
    for place in "$MNT".*; do ! mountpoint -q "$place" || unmount "$place"; done
    sysctl -q vm.dirty_writeback_centisecs="$before"
}

# mount_options NAME: the journal, too, is written only when somebody asks.
mount_options() { case $1 in ext4*) echo commit=600 ;; *) echo defaults ;; esac; }
make_store() { # NAME SIZE
    make_disk "$1" "$2" || return 1
    case $1 in
        ext4*) mkfs.ext4 -q "/dev/mapper/$1.recorded" ;;
        xfs*) mkfs.xfs -q -f "/dev/mapper/$1.recorded" ;;
    esac && record "$1" || return 1
    [[ $1 == device* ]] || { mkdir -p "$MNT.$1" && mount -o "$(mount_options "$1")" "/dev/mapper/$1.recorded" "$MNT.$1"; }
}
path_of() { case $1 in device*) echo "/dev/mapper/$1.recorded" ;; *) echo "$MNT.$1/lun.raw" ;; esac; }
mark() { dmsetup message "$1.recorded" 0 mark "$2"; }
# After mark 1 the LUN is there, after the next ones the batches.
make_marked_lun() { make_lun "$1" $lun_size "file=$(path_of "$1");cache=$2" && mark "$1" 1; }
cache_type() { compgen -G "/sys/block/$(basename "$1")/device/scsi_disk/*/cache_type"; }
# write_batches NAME DISK: the cache goes off behind the last batch that is to have one.
write_batches() {
    bounded 200 "$TOOLS/synced-writes" write "$2" "$seed" "$ways" ${#ways} \
        "m() { dmsetup message $1.recorded 0 mark \$((\$1 + 1)) || return 1; [ \$1 != ${#cached} ] || echo write through > $(cache_type "$2"); }; m"
}

# look_at_cut NAME BATCH: prints what is wrong.
look_at_cut() {
    local status=0 file=$MNT/$1.cut
    if [[ $1 != device* ]]; then
        mount -o loop "$MNT/$1.cut" "$MNT.$1" 2>&1 || return 1
        file=$MNT.$1/lun.raw
    fi
    if [[ ! -e $file ]]; then
        echo "there is no file"
        status=1
    elif [[ $1 != device* && $(stat -c %s "$file") != "$lun_size" ]]; then
        echo "the file has $(stat -c %s "$file") bytes"
        status=1
    else
        "$TOOLS/synced-writes" check "$file" "$seed" "$ways" "$2" || status=1
        # The next batch is not always there yet.
        ((lacking)) || "$TOOLS/synced-writes" check "$file" "$seed" "$ways" $(($2 + 1)) > /dev/null || lacking=1
    fi
    [[ $1 == device* ]] || umount "$MNT.$1" 2>&1 || status=1
    return $status
}
cut_all() { # NAME
    local entries mark wrong='' cuts=0 lacking=0 every=0
    [[ -z ${BALLAST_LONG-} ]] || every=${E2E_EVERY:-10}
    while read -r entries mark; do
        cuts=$((cuts + 1))
        cut_power "$1" "$entries" || { fail "$1: cut at $entries"; return 1; }
        look_at_cut "$1" $((mark - 1)) > "$SCRATCH/said" || wrong+="at entry $entries, batch $((mark - 1)): $(< "$SCRATCH/said")"$'\n'
    done < <("$TOOLS/replay-writes" points "$MNT/$1.record" |
        awk -v every="$every" '$2 > 0 && ($2 != last || (every && NR % every == 0)) { print; last = $2 }')
    is "$(head -c 3000 <<< "$wrong")" "" "$1: after each of $cuts power cuts all is there that must be"
    ok "$1: they came at each batch" test "$cuts" -gt ${#ways}
    isnt "$lacking" 0 "$1: and more was not there yet: the look at the blocks can fail"
}

ok "a file system whose files can share blocks" make_room
fresh_daemon
names=()
for store in "${stores[@]}"; do
    read -r name size cache <<< "$store"
    ok "$name: a disk that is recorded" make_store "$name" "$size"
    ok "$name: a LUN, cache=$cache" make_marked_lun "$name" "$cache"
    names+=("$name")
done
loop_attach "${names[@]}"
for ((n = 0; n < ${#names[@]}; n++)); do
    disk=$(loop_dev $n)
    ok "${names[n]}: written" write_batches "${names[n]}" "$disk"
    is "$(< "$(cache_type "$disk")")" "write through" "${names[n]}: its cache is off in the end"
done
clear_target
for name in "${names[@]}"; do [[ $name == device* ]] || unmount "$MNT.$name"; done
end_records
unlike "$(kernel_since)" 'log-writes: ' "all of it was recorded"
for name in "${names[@]}"; do cut_all "$name"; done
