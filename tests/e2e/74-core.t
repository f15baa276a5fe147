#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon dies of SIGSEGV while a disk is frozen. Its core file tells which commands it had, and which of
# them the kernel had. At the thaw the next daemon ends the initiator's wait.
# timeout: 300
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "only our plugin can be read so"
plan 14

CTL=$LAB_BUILD/ballastctl
drop_in=/run/systemd/system/tcmu-runner.service.d
cores=$TEST_DIR/cores
pattern=$(</proc/sys/kernel/core_pattern)
test_cleanup() {
    printf '%s\n' "$pattern" > /proc/sys/kernel/core_pattern
    rm -rf "$drop_in" "$cores"
    systemctl daemon-reload
    systemctl reset-failed tcmu-runner.service
    frozen_cleanup
}
mkdir -p "$drop_in" "$cores"
cp "$LAB_SRC/targetcli-config/systemd/tcmu-runner.service.d/ballast.conf" "$drop_in/"
systemctl daemon-reload
printf '%s\n' "$cores/core" > /proc/sys/kernel/core_pattern
bus_policy
fresh_daemon
luns() {
    make_lun vol0 64M "$(dm_config slow);deadline=5min" && make_lun vol1 64M "file=/srv/$TEST_NAME.vol1.raw" && export_luns
}
commands='[.luns[] | .name as $lun | .commands[] | {$lun, number, operation, lba, bytes, stage}]'

ok "a disk that can freeze" dm_disk slow 64M
ok "two LUNs" luns
ok "login" login
echo 120 > "/sys/block/$(basename "$DEV")/device/timeout" # no abort changes what is asked and dumped
ok "the disk freezes" freeze slow
writers=()
for ((i = 0; i < 8; i++)); do
    dd if=/dev/zero of="$DEV" bs=4k count=1 seek=$((i * 100)) oflag=direct conv=notrunc status=none 3>&- >&9 2>&1 &
    writers+=($!)
done
at_store() { (($("$CTL" inflight vol0 --json | jq '[.luns[].commands[] | select(.stage == "backend")] | length') == 8)); }
ok "eight writes wait for it" wait_for 30 "commands" at_store
alive=$("$CTL" inflight --json | jq -S "$commands")
before=$(daemon_pid)
ok "the daemon dies of SIGSEGV" kill -SEGV "$before"
# Before its end the kernel writes the core file; the end itself waits for the disk.
size() { stat -c %s "$1"; }
left_core() {
    local before
    core=$(find "$cores" -type f -size +1M | head -n 1)
    [[ -n $core ]] && before=$(size "$core") && sleep 2 && [[ $(size "$core") == "$before" ]]
}
ok "and leaves a core file" wait_for 60 "a core file" left_core
thaw
reborn() { local now; now=$(daemon_pid); [[ $now != 0 && $now != "$before" ]] && daemon_ready; }
ok "a new daemon comes" wait_for 60 "a new daemon" reborn
ended() { for writer in "${writers[@]}"; do gone "$writer" || return; done; }
ok "and the writes end" eval 'wait_for 90 "the writes" ended && wait "${writers[@]}"'

# Reading takes long on an emulated machine; the initiator need not wait for it.
said=$("$CTL" core "$core" inflight 2>&1)
note "$said"
like "$said" 'it ended by SIGSEGV in thread' "it says how it ended"
unlike "$said" 'missing|cut off|in the middle' "and misses nothing"
is "$("$CTL" core "$core" inflight --json 2> /dev/null | jq -S "$commands")" "$alive" "it has the commands that the live daemon had"
like "$("$CTL" core "$core" list 2> /dev/null)" '^vol1 +ok' "and both LUNs"
is "$("$CTL" core "$core" ops --json 2> /dev/null | jq -c '[.luns[] | select(.name == "vol0") | .operations[] |
    select(.operation == "write" and (.state | startswith("at the kernel"))) | .command] | sort')" \
    "$(jq -c '[.[].number] | sort' <<< "$alive")" "all of these are at the kernel"
