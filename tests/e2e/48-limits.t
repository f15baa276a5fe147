#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A LUN with max_iops serves so many commands a second, whatever the initiator sends; ballastctl says what its commands
# wait for; the limit changes under load. Everything goes through an elevator, too, and stays right.
# timeout: 240
. "$(dirname "$0")/disk.sh"
[[ $BACKSTORE == ballast ]] || skip_all "the limits are ours"
plan 14
bus_policy

# reads_a_second SECONDS
reads_a_second() {
    fio --name=reads --filename="$DEV" --rw=randread --bs=4k --iodepth=16 --ioengine=libaio --direct=1 --time_based \
        --runtime="$1" --output-format=json 2>&9 | jq -r '.jobs[0].read.iops | floor'
}
change() { echo "ballast/$config$1" > "${lun_path[vol0]}/attrib/dev_config"; }

fresh_daemon
config="file=/srv/vol0.raw;elevator=on"
not_ok "a bandwidth that no command can live with is refused" make_lun wrong 64M "$config;max_bandwidth=1000"
expect_log "max_bandwidth: 1000 bytes a second"
not_ok "so is an expiry that is never reached" make_lun wrong 64M "$config;write_expire=20s"
ok "a LUN with limits" make_lun vol0 64M "$config;max_iops=40"
export_luns
ok "login" login

fio --name=background --filename="$DEV" --rw=randread --bs=4k --iodepth=16 --ioengine=libaio --direct=1 --time_based \
    --runtime=$((8 * ${LAB_SLOW:-1})) --ramp_time=1 --output-format=json > "$TEST_DIR/limited" 2>&9 3>&- &
fio=$!
waits_for_limit() { "$LAB_BUILD/ballastctl" inflight vol0 | grep -qw limit; }
ok "ballastctl says that they wait for the limit" wait_for 30 "commands that wait" waits_for_limit
ok "fio ends well" wait "$fio"
rate=$(jq -r '.jobs[0].read.iops | floor' "$TEST_DIR/limited")
note "$rate reads a second"
ok "40 reads a second and no more" test "$rate" -le 44
ok "nor many fewer" test "$rate" -ge 10
ok "the limit is lifted" change ""
limitless=$(reads_a_second 4)
note "$limitless reads a second"
ok "and they are faster" test "$limitless" -gt 60
ok "a limit of bandwidth, while in use" change ";max_bandwidth=256KiB"
ok "is kept" test "$(reads_a_second 5)" -le 76
change ""
ok "what fio writes and reads is right" fio --name=verify --filename="$DEV" --rw=randrw --bs=4k --size=32m --iodepth=32 \
    --ioengine=libaio --direct=1 --verify=crc32c --verify_backlog=64
