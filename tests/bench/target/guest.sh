#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the lab guest (make bench): the same load on LIO's own backstores, on stock tcmu-runner, on
# tgt and on Ballast, over iSCSI and over tcm_loop, all in one boot. A machine's speed changes from one
# second to the next, so the load goes from target to target in short turns, many times, and what is
# compared are turns that are neighbours (table.py). As it is, it takes less than ten minutes, and prints the
# summary that README has; the variables give the rest.
#
#   BENCH_ROUNDS     turns of each target at each workload (20)
#   BENCH_SECONDS    seconds of load in a turn (0.4)
#   BENCH_TARGETS    of: ramdisk fileio block qcow tgt null file buffered (fileio qcow file buffered), and,
#                    without a target and a network, fio on such a file itself: disk (O_DIRECT) pagecache
#                    null-off, file-off, buffered-off: with poll=off
#                    rbd, user-rbd: on an image in Ceph, which runs in the guest as well; Ballast's LUN, and that
#                    of the handler which comes with tcmu-runner
#   BENCH_FABRICS    of: iscsi loop (iscsi; tgt, disk and pagecache are measured with it)
#   BENCH_WORKLOADS  names as in the table below, patterns of the shell allowed; "*" is all
#                    ([rw]*4k-qd1 [rw]*4k-qd32 seqwrite-1m)
# shellcheck disable=SC2034
here=$(dirname "$0")
# shellcheck source=tests/e2e/lib.sh
. "$here/../../e2e/lib.sh"
tap_planned=0
# shellcheck source=tests/e2e/ceph.sh
. "$here/../../e2e/ceph.sh"
# shellcheck source=tests/bench/target/places.sh
. "$here/places.sh"
rounds=${BENCH_ROUNDS:-20}
seconds=${BENCH_SECONDS:-0.4}
rounds_at_once=5 # starting fio takes the emulated machine longer than a turn
read -ra targets <<< "${BENCH_TARGETS:-fileio qcow file buffered}"
read -ra fabrics <<< "${BENCH_FABRICS:-iscsi}"
set -f
read -ra wanted <<< "${BENCH_WORKLOADS:-[rw]*4k-qd1 [rw]*4k-qd32 seqwrite-1m}"
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

# One fio for some rounds, each place a job, one after the other; every round begins with another place.
fio_rates() { # FIRST LAST NAME RW BS DEPTH JOBS
    local round turn number=${#places[@]} fabric target path
    {
        printf '%s\n' "[global]" "rw=$4" rwmixread=70 "bs=$5" "iodepth=$6" "numjobs=$7" ioengine=libaio direct=1 \
            thread time_based "runtime=${micros}us" ramp_time=100ms randrepeat=0 norandommap random_generator=lfsr \
            stonewall group_reporting
        for ((round = $1; round <= $2; round++)); do
            for ((turn = 0; turn < number; turn++)); do
                read -r fabric target path <<< "${places[(round + turn) % number]}"
                printf '%s\n' "[$round,$fabric,$target]" "filename=$path"
                [[ $target != pagecache ]] || printf '%s\n' ioengine=psync iodepth=1 direct=0 invalidate=0
            done
        done
    } > /dev/shm/bench.fio
    fio --output-format=json /dev/shm/bench.fio > /dev/shm/bench.json 2>&9 || bail "fio: $(tail -n 3 /dev/shm/bench.json)"
    sed -n '/^{/,$p' /dev/shm/bench.json | # notes come first
        jq -r --arg name "$3" '.jobs[] | (.jobname | split(",")) + [$name, .read.iops + .write.iops] | @tsv' >> "$results"
}

# Commands of BYTES each, through blkdiscard: WRITE SAME or whatever the kernel zeroes with; UNMAP.
discard_rate() { # PLACE BYTES OPTION...
    local place=$1 bytes=$2 begin=${EPOCHREALTIME/./} now commands=0
    shift 2
    while now=${EPOCHREALTIME/./} && ((now - begin < micros)); do
        blkdiscard "$@" --step "$bytes" --length $((bytes * 32)) "$place" >&9 2>&1 || { echo null; return; }
        commands=$((commands + 32))
    done
    echo $((commands * 1000000 / (now - begin)))
}

discard_rates() { # FIRST LAST NAME BYTES OPTION...
    local round turn number=${#places[@]} fabric target path
    for ((round = $1; round <= $2; round++)); do
        for ((turn = 0; turn < number; turn++)); do
            read -r fabric target path <<< "${places[(round + turn) % number]}"
            printf '%s\t%s\t%s\t%s\t%s\n' "$round" "$fabric" "$target" "$3" "$(discard_rate "$path" "${@:4}")" >> "$results"
        done
    done
}

rates() { # FIRST LAST NAME RW BS DEPTH JOBS
    case $4 in
        zero) discard_rates "$1" "$2" "$3" 1310720 --zeroout ;;
        unmap) discard_rates "$1" "$2" "$3" 1048576 ;;
        *) fio_rates "$@" ;;
    esac
}

micros=$(jq -n "$seconds * 1000000 | floor") && ((micros > 0)) || bail "BENCH_SECONDS: no number of seconds: $seconds"
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
# What udev looks at after each write to a disk would be done in the next target's turn. It stays so:
# the guest goes with the bench, and what has piled up takes minutes.
udevadm control --stop-exec-queue
for ((round = 1; round <= rounds; round = last + 1)); do
    last=$((round + rounds_at_once - 1 < rounds ? round + rounds_at_once - 1 : rounds))
    number=0
    for workload in "${chosen[@]}"; do
        read -r name rw bs depth jobs <<< "$workload"
        rates "$round" "$last" "$name" "$rw" "$bs" "$depth" "$jobs"
        echo "rounds $round to $last of $rounds: $name ($((++number)) of ${#chosen[@]} workloads)"
    done
done
python3 "$here/table.py" "$results"
python3 "$here/picture.py" "$results" "$LAB_OUT/bench.svg" && echo "picture: $LAB_OUT/bench.svg"
