#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An hour of load on two LUNs, while a third one comes and goes: the daemon's memory, descriptors and threads
# stay what they were. BALLAST_LONG=1; E2E_SOAK: how many seconds (3600).
# timeout: 5400
. "$(dirname "$0")/disk.sh"
[[ $BACKSTORE == ballast ]] || skip_all "it is about our own memory"
[[ -n ${BALLAST_LONG-} ]] || skip_all "needs an hour: BALLAST_LONG=1"

seconds=${E2E_SOAK:-3600}
seed=${BALLAST_SEED:-$RANDOM}
note "BALLAST_SEED=$seed"
fresh_daemon
file_lun vol0 256M
make_lun vol1 256M "file=$(backing vol1);log=$(backing log);log_size=256MiB"
export_luns
ok "login" login
pid=$(daemon_pid)

# Writes pass after pass, each with its own content, and reads back what the last one wrote.
load() { # NUMBER
    fio --name="soak$1" --filename="$(dev "$1")" --ioengine=libaio --direct=1 --rw=randrw --rwmixread=30 \
        --bsrange=4k-256k --iodepth=8 --size=128m --loops=100000 --runtime="$seconds" --time_based \
        --randseed="$((seed + $1))" --verify=crc32c --verify_backlog=64 --verify_fatal=1 \
        --aux-path="$TEST_DIR" --output="$TEST_DIR/fio$1.log" 3>&- >&9 2>&1
}
# KiB of memory, descriptors, threads.
usage() {
    echo "$(awk '/^VmRSS:/ {print $2}' "/proc/$pid/status")" \
        "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)"
}
load 0 &
fio0=$!
load 1 &
fio1=$!
# The third LUN.
visit() {
    make_lun other 64M "file=$(backing other)" && bounded 40 rmdir "${lun_path[other]}" && rmdir "${lun_path[other]%/*}"
}
end=$((SECONDS + seconds)) lives=0 failed=0
while ((SECONDS < end)); do
    visit || failed=$((failed + 1))
    lives=$((lives + 1))
    usage >> "$TEST_DIR/usage"
    sleep 5
done
is "$failed" 0 "$lives times a LUN came and went"
wait "$fio0"
is $? 0 "vol0: every block is as it was written"
wait "$fio1"
is $? 0 "vol1, with a log: the same"
is "$(daemon_pid)" "$pid" "the daemon is the same"
# The most in a quarter of the time.
most() { # COLUMN QUARTER
    awk -v column="$1" -v quarter="$2" '{all[NR] = $column} END {
        for (i = 1; i <= NR; i++) if (int((i - 1) * 4 / NR) + 1 == quarter && all[i] > most) most = all[i]
        print most}' "$TEST_DIR/usage"
}
note "KiB at most in each quarter: $(for n in 1 2 3 4; do most 1 $n; done | xargs)"
ok "its memory does not grow" test "$(most 1 4)" -le $(($(most 1 2) * 105 / 100))
ok "nor do its descriptors" test "$(most 2 4)" -le "$(most 2 2)"
ok "nor its threads" test "$(most 3 4)" -le "$(most 3 2)"
is "$(kernel_complaints)" "" "the kernel has nothing to complain of"
done_testing
