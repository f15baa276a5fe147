#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the lab guest (make bench): the same load on LIO's own backstores, on
# stock tcmu-runner and on Ballast, over iSCSI, all in one boot and one session.
# Rounds are interleaved, target after target, because a machine's speed drifts;
# the table shows medians, and ratios of medians within this run.
#
#   BENCH_ROUNDS   rounds (5)
#   BENCH_SECONDS  seconds of load per cell and round (3)
#   BENCH_TARGETS  which rows, of: ramdisk fileio qcow null file buffered, and, without a target and
#                  a network, fio on such a file itself: disk (O_DIRECT) pagecache
# shellcheck disable=SC2034
. "$(dirname "$0")/../e2e/lib.sh"
tap_planned=0
rounds=${BENCH_ROUNDS:-5}
seconds=${BENCH_SECONDS:-3}
read -ra targets <<< "${BENCH_TARGETS:-ramdisk fileio qcow null file buffered}"
size=64M
results=$LAB_OUT/bench.tsv

# workload: name, fio's rw, block size, depth
workloads=(
    "read-4k-qd1    randread  4k  1"
    "read-4k-qd32   randread  4k  32"
    "write-4k-qd1   randwrite 4k  1"
    "write-4k-qd32  randwrite 4k  32"
    "seqread-64k    read      64k 8"
    "seqwrite-64k   write     64k 8"
)

make_target() { # NAME
    case $1 in
        ramdisk)
            local dir=$CONFIGFS/core/rd_mcp_0/ramdisk
            mkdir -p "$dir" && echo "rd_pages=$(($(bytes_of $size) / 4096))" > "$dir/control" &&
                echo 1 > "$dir/enable" || return 1
            lun_path[ramdisk]=$dir
            lun_names+=(ramdisk)
            ;;
        fileio | qcow) BACKSTORE=$1 make_lun "$1" $size "file:/srv/bench-$1.raw" ;;
        null) make_lun null $size null: ;;
        file) make_lun file $size file:/srv/bench-file.raw ;;
        buffered) make_lun buffered $size "file:/srv/bench-buffered.raw;cache=buffered" ;;
        disk | pagecache) truncate -s "$(bytes_of $size)" "/srv/bench-$1.raw" ;;
        *) bail "no such target: $1" ;;
    esac
}

# Where fio writes to for the target of that number, and whether past the page cache.
place_of() {
    local m lun=0
    case ${targets[$1]} in
        disk | pagecache) echo "/srv/bench-${targets[$1]}.raw" ;;
        *)
            for ((m = 0; m < $1; m++)); do
                [[ ${targets[m]} =~ ^(disk|pagecache)$ ]] || lun=$((lun + 1))
            done
            dev "$lun"
            ;;
    esac
}
engine_of() { if [[ $1 == pagecache ]]; then echo --ioengine=psync --direct=0 --invalidate=0; else echo --ioengine=libaio --direct=1; fi; }

measure() { # TARGET-NUMBER RW BS DEPTH: operations per second
    # shellcheck disable=SC2046
    fio --name=cell --filename="$(place_of "$1")" --rw="$2" --bs="$3" --iodepth="$4" $(engine_of "${targets[$1]}") \
        --time_based --runtime="$seconds" --ramp_time=0.5 --randrepeat=0 --norandommap --random_generator=lfsr \
        --output-format=json 2>&9 | jq '.jobs[0] | .read.iops + .write.iops'
}

fresh_daemon
for target in "${targets[@]}"; do make_target "$target" || bail "cannot make $target: $(tail -n 3 "$DAEMON_LOG")"; done
export_luns || bail "cannot export"
login || bail "cannot log in"
# Allocated and once written, for every target alike.
head -c "$(bytes_of $size)" /dev/urandom > /dev/shm/fill
for ((n = 0; n < ${#targets[@]}; n++)); do
    dd if=/dev/shm/fill of="$(place_of "$n")" bs=1M oflag=direct conv=notrunc 2>&9 || bail "cannot fill ${targets[n]}"
done
rm /dev/shm/fill
: > "$results"
cells=$((rounds * ${#workloads[@]} * ${#targets[@]})) cell=0
for ((round = 1; round <= rounds; round++)); do
    for workload in "${workloads[@]}"; do
        read -r name rw bs depth <<< "$workload"
        for ((n = 0; n < ${#targets[@]}; n++)); do
            iops=$(measure "$n" "$rw" "$bs" "$depth")
            printf '%s\t%s\t%s\t%s\n' "$round" "${targets[n]}" "$name" "$iops" >> "$results"
            cell=$((cell + 1))
        done
        echo "round $round of $rounds: $name ($cell of $cells cells)"
    done
done
python3 "$(dirname "$0")/table.py" "$results"
