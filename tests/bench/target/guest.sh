#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the lab guest (make bench): the same load on LIO's own backstores, on stock tcmu-runner, on
# tgt and on Ballast, over iSCSI and over tcm_loop, all in one boot. Rounds are interleaved, target
# after target, because a machine's speed drifts; the tables show medians, and ratios of medians
# within this run.
#
#   BENCH_ROUNDS     rounds (9)
#   BENCH_SECONDS    seconds of load per cell and round (1)
#   BENCH_TARGETS    of: ramdisk fileio block qcow tgt null file buffered (all of them), and, without
#                    a target and a network, fio on such a file itself: disk (O_DIRECT) pagecache
#   BENCH_FABRICS    of: iscsi loop (both; tgt, disk and pagecache are measured with iscsi)
#   BENCH_WORKLOADS  names as in the table below, patterns of the shell allowed; "*" is all
#                    (*4k-qd1 *4k-qd32 *64k)
# shellcheck disable=SC2034
here=$(dirname "$0")
# shellcheck source=tests/e2e/lib.sh
. "$here/../../e2e/lib.sh"
tap_planned=0
# shellcheck source=tests/bench/target/places.sh
. "$here/places.sh"
rounds=${BENCH_ROUNDS:-9}
seconds=${BENCH_SECONDS:-1}
read -ra targets <<< "${BENCH_TARGETS:-ramdisk fileio block qcow tgt null file buffered}"
read -ra fabrics <<< "${BENCH_FABRICS:-iscsi loop}"
set -f
read -ra wanted <<< "${BENCH_WORKLOADS:-*4k-qd1 *4k-qd32 *64k}"
set +f
size=64M
results=$LAB_OUT/bench.tsv

# name, what fio calls it (or ours: zero, unmap), block size, depth of a job, jobs
workloads() {
    local kind depth
    for kind in "read randread" "write randwrite" "mix randrw"; do
        for depth in 1 8 32; do echo "${kind% *}-4k-qd$depth ${kind#* } 4k $depth 1"; done
        echo "${kind% *}-4k-qd128 ${kind#* } 4k 32 4"
    done
    echo "seqread-64k read 64k 8 1"
    echo "seqwrite-64k write 64k 8 1"
    echo "seqread-1m read 1m 4 1"
    echo "seqwrite-1m write 1m 4 1"
    echo "zero-1280k zero 1280k 1 1"
    echo "unmap-1m unmap 1m 1 1"
}
chosen() {
    local line pattern
    while read -r line; do
        for pattern in "${wanted[@]}"; do
            # shellcheck disable=SC2053
            [[ ${line%% *} == $pattern ]] && { echo "$line"; break; }
        done
    done < <(workloads)
}

fio_rate() { # PLACE TARGET RW BS DEPTH JOBS: operations per second
    local engine="--ioengine=libaio --direct=1"
    [[ $2 != pagecache ]] || engine="--ioengine=psync --direct=0 --invalidate=0"
    # shellcheck disable=SC2086
    fio --name=cell --filename="$1" --rw="$3" --rwmixread=70 --bs="$4" --iodepth="$5" --numjobs="$6" $engine \
        --group_reporting --time_based --runtime="$seconds" --ramp_time=0.5 --randrepeat=0 --norandommap \
        --random_generator=lfsr --output-format=json 2>&9 | jq '.jobs[0] | .read.iops + .write.iops'
}

# Commands of BYTES each, through blkdiscard: WRITE SAME or whatever the kernel zeroes with; UNMAP.
discard_rate() { # PLACE BYTES OPTION...
    local place=$1 bytes=$2 begin=${EPOCHREALTIME/./} now commands=0
    shift 2
    while now=${EPOCHREALTIME/./} && ((now - begin < seconds * 1000000)); do
        blkdiscard "$@" --step "$bytes" --length $((bytes * 32)) "$place" >&9 2>&1 || { echo null; return; }
        commands=$((commands + 32))
    done
    echo $((commands * 1000000 / (now - begin)))
}

rate() { # PLACE TARGET RW BS DEPTH JOBS
    case $3 in
        zero) discard_rate "$1" 1310720 --zeroout ;;
        unmap) discard_rate "$1" 1048576 ;;
        *) fio_rate "$@" ;;
    esac
}

fresh_daemon
make_places || bail "cannot make the targets: $(tail -n 3 "$DAEMON_LOG")"
# Allocated and once written, for every target alike.
head -c "$(bytes_of "$size")" /dev/urandom > /dev/shm/fill
for place in "${places[@]}"; do
    read -r fabric target path <<< "$place"
    [[ $fabric == iscsi ]] || continue
    dd if=/dev/shm/fill of="$path" bs=1M oflag=direct conv=notrunc 2>&9 || bail "cannot fill $target"
done
rm /dev/shm/fill
mapfile -t chosen < <(chosen)
((${#chosen[@]} > 0)) || bail "no workload is called ${wanted[*]}; there are: $(workloads | cut -d' ' -f1 | paste -sd' ')"
: > "$results"
cells=$((rounds * ${#chosen[@]} * ${#places[@]})) cell=0
for ((round = 1; round <= rounds; round++)); do
    for workload in "${chosen[@]}"; do
        read -r name rw bs depth jobs <<< "$workload"
        for place in "${places[@]}"; do
            read -r fabric target path <<< "$place"
            printf '%s\t%s\t%s\t%s\t%s\n' "$round" "$fabric" "$target" "$name" \
                "$(rate "$path" "$target" "$rw" "$bs" "$depth" "$jobs")" >> "$results"
            cell=$((cell + 1))
        done
        echo "round $round of $rounds: $name ($cell of $cells cells)"
    done
done
python3 "$here/table.py" "$results"
python3 "$here/picture.py" "$results" "$LAB_OUT/bench.svg" && echo "picture: $LAB_OUT/bench.svg"
