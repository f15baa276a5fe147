#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# libiscsi's conformance suite, by somebody else: one TAP test for each of its families.
# BALLAST_LONG=1 runs all of them, iSCSI's own included.
# timeout: 600
. "$(dirname "$0")/disk.sh"

# Family, a blank, why it may fail. What stands here was looked at one by one.
known=$(sed 's/^ *//' << 'END'
END
)
families=(TestUnitReady Inquiry ReadCapacity10 ReadCapacity16 ModeSense6 ReportSupportedOpcodes
    Read6 Read10 Read12 Read16 Write10 Write12 Write16 WriteVerify10 WriteVerify16 Verify10 Verify16
    WriteSame10 WriteSame16 Unmap CompareAndWrite Prefetch10 Prefetch16 StartStopUnit Mandatory NoMedia)
[[ -z ${BALLAST_LONG-} ]] || families=('ALL')

fresh_daemon
file_lun vol0 64M
export_luns
# The suite logs in by itself, under a name of its own.
tpg=$(tpg)
suite=iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test
for name in "$suite" "$suite-2"; do
    mkdir -p "$tpg/acls/$name/lun_0" && ln -s "$tpg/lun/lun_0" "$tpg/acls/$name/lun_0/lun"
done

run_family() { # NAME
    local test=SCSI.$1
    [[ $1 != ALL ]] || test=ALL
    bounded 500 iscsi-test-cu --dataloss --test="$test" "iscsi://$PORTAL/$IQN/0" > "$TEST_DIR/$1.log" 2>&1
}
for family in "${families[@]}"; do
    run_family "$family"
    status=$?
    log=$TEST_DIR/$family.log
    ran=$(awk '$1 == "tests" {print $3}' "$log")
    failed=$(awk '$1 == "tests" {print $5}' "$log")
    note "$family: ${ran:-no} tests, ${failed:-?} failed"
    unexplained=$(awk '/^ *Test:.*FAILED/ {print}' "$log")
    if [[ $status == 0 && -n $ran && $failed == 0 ]]; then
        pass "$family"
    else
        fail "$family" "$(grep -nE 'FAILED|^ *[0-9]+\. ' "$log" | head -n 20)"$'\n'"log: tests/$TEST_NAME/$family.log"
    fi
done
done_testing
