#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the lab guest (make bench-trace): where the time of one command goes, with one command at a time. The
# kernel's own trace points cut a command's way into four parts; table.py prints the medians.
#
#   TRACE_SECONDS  of load for each target, over each fabric (2)
#   BENCH_TARGETS, BENCH_FABRICS as for make bench (qcow null null-off file buffered; both)
# shellcheck disable=SC2034
here=$(dirname "$0")
# shellcheck source=tests/e2e/lib.sh
. "$here/../../e2e/lib.sh"
tap_planned=0
# shellcheck source=tests/bench/target/places.sh
. "$here/../target/places.sh"
read -ra targets <<< "${BENCH_TARGETS:-qcow null null-off file buffered}"
read -ra fabrics <<< "${BENCH_FABRICS:-iscsi loop}"
size=64M
tracing=/sys/kernel/tracing
mountpoint -q "$tracing" || mount -t tracefs tracefs "$tracing" || bail "no tracefs"

one() { # FABRIC TARGET PATH MODE
    local event hctl
    hctl=$(basename "$(readlink -e "/sys/block/$(basename "$3")/device")")
    echo 0 > "$tracing/tracing_on"
    echo > "$tracing/trace"
    echo 16384 > "$tracing/buffer_size_kb"
    echo mono > "$tracing/trace_clock"
    for event in scsi/scsi_dispatch_cmd_start scsi/scsi_dispatch_cmd_done; do
        echo "host_no == ${hctl%%:*} && lun == ${hctl##*:}" > "$tracing/events/$event/filter"
        echo 1 > "$tracing/events/$event/enable"
    done
    for event in target_sequencer_start target_cmd_complete; do
        echo 1 > "$tracing/events/target/$event/enable"
    done
    echo 1 > "$tracing/tracing_on"
    fio --name=trace --filename="$3" --rw="rand$4" --bs=4k --iodepth=1 --ioengine=libaio --direct=1 --time_based \
        --runtime="${TRACE_SECONDS:-2}" --ramp_time=500ms > /dev/shm/trace.fio 2>&1 || bail "fio: $(tail -n 3 /dev/shm/trace.fio)"
    echo 0 > "$tracing/tracing_on"
    cp "$tracing/trace" "$LAB_OUT/trace.$1.$2.$4"
}

fresh_daemon
make_places || bail "cannot make the targets: $(tail -n 3 "$DAEMON_LOG")"
for place in "${places[@]}"; do
    read -r fabric target path <<< "$place"
    [[ $fabric == iscsi ]] || continue
    dd if=/dev/urandom of="$path" bs=1M count=64 oflag=direct conv=notrunc 2>&9 || bail "cannot fill $target"
done
udevadm control --stop-exec-queue
traces=()
for place in "${places[@]}"; do
    read -r fabric target path <<< "$place"
    for mode in read write; do
        one "$fabric" "$target" "$path" "$mode"
        traces+=("$LAB_OUT/trace.$fabric.$target.$mode")
    done
done
python3 "$here/table.py" "${traces[@]}"
