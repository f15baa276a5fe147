# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For whoever runs libiscsi's conformance suite, iscsi-test-cu, on a LUN. Sourced instead of disk.sh.
. "$(dirname "${BASH_SOURCE[0]}")/disk.sh"

# suite_target BLOCK_SIZE: LUN 0 of 64 MiB, vol0, behind a target where the suite may log in.
suite_target() {
    local tpg name suite=iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test
    # The suite sends up to 256 blocks at once, whatever Block Limits says.
    file_lun vol0 64M hw_max_sectors=2048 "block_size=$1" || return 1
    [[ $BACKSTORE != fileio ]] || echo "$1" > "${lun_path[vol0]}/attrib/block_size" || return 1
    export_luns || return 1
    # Where the kernel keeps persistent reservations; without it every PERSISTENT RESERVE OUT fails.
    mkdir -p "$(< "$CONFIGFS/dbroot")/pr"
    # The suite logs in by itself, under a name of its own.
    tpg=$(tpg)
    for name in "$suite" "$suite-2"; do
        mkdir -p "$tpg/acls/$name/lun_0" && ln -s "$tpg/lun/lun_0" "$tpg/acls/$name/lun_0/lun" || return 1
    done
}

# run_family NAME LOG: a family, or one test. The tests of several paths have a second session.
run_family() {
    local paths=("iscsi://$PORTAL/$IQN/0")
    [[ $1 != SCSI && $1 != SCSI.MultipathIO* ]] || paths+=("${paths[0]}")
    bounded 500 iscsi-test-cu --dataloss --test="$1" "${paths[@]}" > "$2" 2>&1
}

# verdicts LOG: a line for each test that ran, "passed", "failed" or "skipped" and its Suite.Test.
# Skipped is what passed without having looked at all it would look at.
verdicts() {
    awk '
        function tell() {
            if (test != "") print failed ? "failed" : skipped ? "skipped" : "passed", suite "." test
            test = ""; failed = skipped = 0
        }
        $1 == "Suite:" { tell(); suite = $2 }
        $1 == "Test:" { tell(); test = $2 }
        /^FAILED|\.\.\.FAILED/ { failed = 1 }
        /\[SKIPPED\]/ { skipped = 1 }
        $1 == "Run" && $2 == "Summary:" { tell() }
        END { tell() }' "$1"
}
