#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the lab guest (make bench-suite): all families of libiscsi's conformance suite that are for a disk,
# on the same LUN of several targets, and prints how many tests of each passed, failed and were skipped.
# suite.tsv has what became of each test, and suite/ what the suite said.
#
#   BENCH_SUITE_BACKSTORES   of: ballast fileio, and handlers of tcmu-runner that take a file (ballast fileio qcow)
#   BENCH_SUITE_BLOCK_SIZES  bytes of a block (512 4096)
#   BENCH_SUITE_FAMILIES     names as `iscsi-test-cu --list` has them (all that begin with SCSI)
here=$(dirname "$0")
# shellcheck source=tests/e2e/libiscsi.sh
. "$here/../../e2e/libiscsi.sh"
tap_planned=0
read -ra backstores <<< "${BENCH_SUITE_BACKSTORES:-ballast fileio qcow}"
read -ra block_sizes <<< "${BENCH_SUITE_BLOCK_SIZES:-512 4096}"
read -ra families <<< "${BENCH_SUITE_FAMILIES-}"
if ((${#families[@]} == 0)); then
    mapfile -t families < <(iscsi-test-cu --list 2>&1 | grep -oE 'SCSI\.[A-Za-z0-9]+' | sort -u)
fi
results=$LAB_OUT/suite.tsv
mkdir -p "$LAB_OUT/suite"
: > "$results"

for block_size in "${block_sizes[@]}"; do
    for BACKSTORE in "${backstores[@]}"; do
        fresh_daemon
        suite_target "$block_size" || bail "no LUN of $BACKSTORE with $block_size bytes a block: $(tail -n 3 "$DAEMON_LOG")"
        for family in "${families[@]}"; do
            log=$LAB_OUT/suite/$BACKSTORE-$block_size-$family.log
            run_family "$family" "$log" || (($? == 1)) || echo "$BACKSTORE, $block_size: $family did not come to its end"
            verdicts "$log" | awk -v OFS='\t' -v where="$BACKSTORE $block_size" '{ print where, $2, $1 }' >> "$results"
        done
        echo "$BACKSTORE, $block_size bytes a block: $SECONDS s since the beginning"
    done
done
python3 "$here/table.py" "$results"
