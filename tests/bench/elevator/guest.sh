#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the lab guest (make bench-elevator): one reader that thinks 50 ms between its reads beside 64 writes, on a
# disk that rotates (rotating_disk), through the kernel's schedulers and through a Ballast LUN. Then both kinds alone.
#
#   BENCH_SECONDS   of load for each row and workload (20)
#   BENCH_DISKS     "fifo ncq"
#   BENCH_ROWS      "none mq-deadline bfq off on": the kernel's schedulers on the disk itself; Ballast's elevator=
# shellcheck disable=SC2034
here=$(dirname "$0")
# shellcheck source=tests/e2e/lib.sh
. "$here/../../e2e/lib.sh"
tap_planned=0
read -ra disks <<< "${BENCH_DISKS:-fifo ncq}"
read -ra rows <<< "${BENCH_ROWS:-none mq-deadline bfq off on}"
length=${BENCH_SECONDS:-20}
mib=1024

fio_options=(--size="${mib}m" --bs=4k --ioengine=libaio --direct=1 --time_based --output-format=json)
fio_on() { # PATH RESULT OPTION...
    fio --filename="$1" --output="$2" "${fio_options[@]}" "${@:3}" > /dev/null 2>&9
}
reader=(--name=reader --rw=randread --iodepth=1 --thinktime=50ms)
writers=(--name=writers --rw=randwrite --iodepth=64)
written() { awk '{print $5}' /sys/block/nbd0/stat; } # requests so far

load() { # DISK ROW WORKLOAD PATH
    local result=$LAB_OUT/$1.$2.$3 ended=0
    case $3 in
        both)
            # The writers are there before the reader and after it. One fio for both would let one kind
            # run alone at an end, because opening the disk takes longer beside 64 writes.
            fio --filename="$4" --output="$result.writers.json" "${fio_options[@]}" "${writers[@]}" --runtime=600 \
                > /dev/null 2>&9 &
            local pid=$! before begin
            sleep 5
            before=$(written) begin=$EPOCHREALTIME
            fio_on "$4" "$result.json" "${reader[@]}" --runtime="$length" || ended=$?
            echo "$(($(written) - before)) $((${EPOCHREALTIME/./} - ${begin/./}))" > "$result.writes"
            kill -TERM "$pid" # it writes down what it has measured
            wait "$pid"
            ;;
        writers) fio_on "$4" "$result.json" "${writers[@]}" --runtime="$length" --ramp_time=5 || ended=$? ;;
        readers) fio_on "$4" "$result.json" --name=reader --rw=randread --iodepth=32 --runtime="$length" --ramp_time=3 || ended=$? ;;
    esac
    ((ended == 0)) || bail "fio on $1, $2, $3"
}

for disk in "${disks[@]}"; do
    "$here/rotating_disk" "/run/$disk.sock" "$mib" "$disk" 3>&- &
    server=$!
    wait_for 10 "the disk" test -S "/run/$disk.sock" || bail "no disk"
    modprobe nbd && nbd-client -unix "/run/$disk.sock" /dev/nbd0 >&9 2>&1 || bail "nbd-client"
    echo 1 > /sys/block/nbd0/queue/rotational
    for row in "${rows[@]}"; do
        case $row in
            on | off)
                echo none > /sys/block/nbd0/queue/scheduler
                fresh_daemon
                make_lun "$disk" "${mib}M" "file=/dev/nbd0;elevator=$row" || bail "no LUN"
                # The initiator sends all commands at once: this is about their order on the target.
                if ! export_luns || ! iscsi_set node.session.queue_depth 128 || ! login ""; then
                    bail "no disk at the initiator"
                fi
                path=$DEV
                echo none > "/sys/block/$(basename "$path")/queue/scheduler"
                ;;
            *)
                [[ $row != bfq ]] || modprobe bfq || continue
                echo "$row" > /sys/block/nbd0/queue/scheduler || continue
                path=/dev/nbd0
                ;;
        esac
        for workload in both writers readers; do
            load "$disk" "$row" "$workload" "$path"
            echo "$disk, $row, $workload: done"
        done
        [[ $row != on && $row != off ]] || clear_target
    done
    nbd-client -d /dev/nbd0 >&9 2>&1
    kill "$server"
    wait "$server" 2>&9
done
python3 "$here/table.py" "$LAB_OUT" "${rows[@]}"
python3 "$here/picture.py" "$LAB_OUT/elevator.svg" "$LAB_OUT" "${rows[@]}"
