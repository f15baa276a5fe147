#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A LUN whose thread is stuck: ballastctl and the log say so. Where the unit has WatchdogSec, systemd starts
# such a daemon anew, but not while a freeze holds a thread of it in the kernel.
# cpus: 2
# timeout: 400
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "only our plugin answers"
plan 23

CTL=$LAB_BUILD/ballastctl
FAULT=/run/vol0.fault
DROPIN=/etc/systemd/system/tcmu-runner.service.d
test_cleanup() {
    : > "$FAULT"
    rm -rf "$DROPIN"
    systemctl daemon-reload
    frozen_cleanup
}
json() { "$CTL" "${@:2}" --json | jq -r "$1"; }
json_says() { [[ $(json "${@:2}") == "$1" ]]; }
list() { "$CTL" list 2>&1; }
list_says() { grep -qE -- "$1" <<< "$(list)"; }
# The next read of vol0 holds its thread for so long.
read_blocked() { # SECONDS
    set_fault "read block=$1s first=1"
    dd if="$DEV" of=/dev/null bs=4k count=1 iflag=direct status=none 3>&- >&9 2>&1 &
    reader=$!
    wait_for 20 "a silent LUN" list_says 'LUN vol0 does not answer'
    : > "$FAULT"
}
luns() {
    make_lun vol0 64M "file=/srv/$TEST_NAME.vol0.raw;fault=$FAULT" &&
        make_lun vol1 64M "file=/srv/$TEST_NAME.vol1.raw" && make_lun vol2 64M "$(dm_config slow)" && export_luns
}

bus_policy
: > "$FAULT"
fresh_daemon
ok "a disk that can freeze" dm_disk slow 64M
ok "three LUNs" luns
ok "login" login

# --- what people see ---
ok "a read that holds up its LUN" read_blocked 60
expect_log 'vol0: stuck: thread [0-9]+ \(.+, state S\) has been for [0-9.]+ s in the coroutine "command"' 30
like "$(list)" '^ballastctl: LUN vol0 does not answer: stuck for [0-9.]+ s in the coroutine "command".*; thread [0-9]+ \(.*\), state S' "list says so"
ok "the other LUN answers" wait_for 20 "it" list_says '^vol1 +ok'
ok "list --json" wait_for 20 "it" json_says 'vol0 true true' '.stuck[0] | "\(.lun) \(.drives) \(.for_ns > 5000000000)"' list
expect_log 'vol0: thread [0-9]+ goes on: it was stuck for [56][0-9.]+ s' 80
ok "the read ends" wait_for 20 "dd" gone "$reader"
ok "without an error" wait "$reader"
unlike "$(list)" 'stuck for' "list has nothing to say any more"
is "$(json '.luns[0].counters.stuck' stats vol0)" 1 "it is counted"

# --- systemd's watchdog ---
logout
clear_target
mkdir -p "$DROPIN"
cp "$LAB_SRC/targetcli-config/systemd/tcmu-runner.service.d/ballast.conf" "$DROPIN/"
printf '[Service]\nWatchdogSec=10\nLimitCORE=0\n' > "$DROPIN/watchdog.conf"
systemctl daemon-reload
fresh_daemon
is "$(systemctl show -P NotifyAccess tcmu-runner.service)" main "systemd listens to the daemon"
luns || bail "no LUNs"
ok "login" login
before=$(daemon_pid)
reborn() { local now; now=$(daemon_pid); [[ $now != 0 && $now != "$before" ]] && daemon_ready; }

freeze slow
dd if=/dev/null of="$(dev 2)" count=0 conv=fsync,notrunc status=none 3>&- >&9 2>&1 &
flush=$!
asleep() { grep -qs '^State:.D' /proc/"$before"/task/*/status; }
ok "a freeze holds a thread of the daemon in the kernel" wait_for 20 "a thread in state D" asleep
ok "and another LUN is stuck" read_blocked 60
expect_log 'vol0: the service manager is not asked to start the daemon anew: thread [0-9]+ sleeps' 30
sleep 25
is "$(daemon_pid)" "$before" "systemd lets the daemon live"
thaw
ok "the flush ends with the freeze" wait_for 30 "dd" gone "$flush"
expect_log 'vol0: is stuck, so the service manager hears no more that the daemon is well' 30
ok "systemd starts the daemon anew" wait_for 60 "a new daemon" reborn
ok "and the read that held it up ends" wait_for 60 "dd" gone "$reader"
