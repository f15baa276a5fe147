#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed again and again under fio with verify; systemd brings it back, and fio never
# notices but for the time. What the initiator has set stays.
# BALLAST_LONG=1: a hundred times.
# timeout: 3000
. "$(dirname "$0")/disk.sh"
[[ $BACKSTORE != fileio ]] || skip_all "fileio has no daemon"
plan 12

wanted_kills=${BALLAST_LONG:+100}
wanted_kills=${wanted_kills:-3}
# Slow enough that all the kills fall into it: fio takes its rate_iops for blocks of the smallest size, so it writes
# 480 KiB a second. Reading back takes as long.
mebibytes=$((wanted_kills > 3 ? 300 : 32))
drop_in=/run/systemd/system/tcmu-runner.service.d
test_cleanup() {
    rm -rf "$drop_in"
    systemctl daemon-reload
    systemctl reset-failed tcmu-runner.service
}
mkdir -p "$drop_in"
cp "$LAB_SRC/targetcli-config/systemd/tcmu-runner.service.d/ballast.conf" "$drop_in/"
# More kills than an operator would stand.
printf '[Unit]\nStartLimitBurst=200\n' > "$drop_in/kill.conf"
systemctl daemon-reload

fresh_daemon
file_lun vol0 $((mebibytes + 96))M
export_luns
ok "login" login

seed=${BALLAST_SEED:-$RANDOM}
note "BALLAST_SEED=$seed"
fio --name=kill --filename="$DEV" --ioengine=libaio --direct=1 --rw=randwrite --bsrange=4k-64k --iodepth=16 \
    --size=${mebibytes}m --rate_iops=120 --randseed="$seed" --verify=crc32c --verify_fatal=1 \
    --aux-path="$TEST_DIR" --output="$TEST_DIR/fio.log" 3>&- >&9 2>&1 &
fio_pid=$!
kills=0
returned=0
new_pid() { [[ $(daemon_pid) != "$pid" && $(daemon_pid) != 0 ]]; }
came_back() { wait_for 30 "a new daemon" new_pid && wait_for 30 "tcmu-runner on the bus" daemon_ready; }
moved() { (($(target_commands vol0) > $1)); }
while ((kills < wanted_kills)) && ! gone "$fio_pid"; do
    sleep 2
    pid=$(daemon_pid)
    kill -KILL "$pid" || break
    kills=$((kills + 1))
    came_back || break
    wait_for 30 "I/O after kill $kills" moved "$(($(target_commands vol0) + 20))" && returned=$((returned + 1))
done
is "$kills" "$wanted_kills" "the daemon was killed $wanted_kills times under load"
is "$returned" "$kills" "each time a new one came and I/O went on"
ok "fio ends" wait_for 1500 "fio's end" gone "$fio_pid"
wait "$fio_pid"
is $? 0 "without an error: every block is as it was written"
kernel=$(dmesg | sed -n "/lab: test $TEST_NAME begins/,\$p")
unlike "$kernel" 'I/O error|conn error \(1021\)' "the kernel saw no I/O error and dropped no session"
is "$(kernel_complaints)" "" "and has nothing to complain of"

ok "the initiator turns the write cache off" sdparm --clear=WCE "$DEV"
pid=$(daemon_pid)
kill -KILL "$pid"
ok "a new daemon comes" came_back
like "$(sdparm --get=WCE "$DEV")" 'WCE +0' "and the write cache is still off"
ok "the session is the same" logged_in
ok "the file is still ours alone, and the LUN works" dd if=/dev/zero of="$DEV" bs=1M count=4 oflag=direct status=none
