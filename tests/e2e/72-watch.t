#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
# ballastctl watch: backstores that come and go, a session that is made, cut and ended, slow requests;
# and it holds up nothing, not even while the daemon is down.
. "$(dirname "$0")/lib.sh"
[[ $BACKSTORE == ballast ]] || skip_all "only our plugin answers"
plan 25

CTL=$LAB_BUILD/ballastctl
[[ -x $CTL ]] || bail "no ballastctl in $LAB_BUILD: run make first"
FAULT=/run/$TEST_NAME.fault
SEEN=$TEST_DIR/seen watcher=''
test_cleanup() {
    : > "$FAULT"
    [[ -z $watcher ]] || kill -KILL "$watcher" 2> /dev/null
}

# event EVENT SUBJECT [TEXT]: such a line has been seen; regular expressions.
event() {
    jq -s -e --arg e "^($1)\$" --arg s "^$2\$" --arg t "${3-}" \
        'any(.[]; (.event | test($e)) and (.subject | test($s)) and (.text | test($t)))' "$SEEN" > /dev/null
}
saw() { # DESC EVENT SUBJECT [TEXT]
    if wait_for 15 "$1" event "${@:2}"; then pass "$1"; else
        fail "$1" "no $2 of $3 in: $(tail -n 12 "$SEEN")"
    fi
}

bus_policy
: > "$FAULT"
modprobe iscsi_tcp
fresh_daemon
expect_log 'org.ballast.Ballast1 is on the D-Bus system bus'

like "$("$CTL" watch --for soon 2>&1)" 'soon' "a period that is none is refused"
is "$(bounded 20 "$CTL" watch --for 1s > "$TEST_DIR/short"; echo $?)" 0 "watch --for ends by itself"
: > "$SEEN"
"$CTL" watch --json >> "$SEEN" 2> "$TEST_DIR/notes" 3>&- &
watcher=$!
# What the kernel says of targets goes to those that listen then: generic netlink, which is 16. libnl makes the port of
# the process id, in its lower 22 bits, and a number.
listens() { awk -v pid="$watcher" '$2 == 16 && $3 % 4194304 == pid { found = 1 } END { exit !found }' /proc/net/netlink; }
ok "it listens to the kernel" wait_for 30 "its socket" listens
pause 1 # until it has joined
is "$(< "$TEST_DIR/notes")" "" "all its sources are there"

make_lun vol0 64M "file=/srv/$TEST_NAME.vol0.raw;fault=$FAULT" || bail "no vol0"
saw "a backstore that comes" added vol0 "ballast/file=/srv/$TEST_NAME.vol0.raw"
truncate -s 128M "/srv/$TEST_NAME.vol0.raw"
echo $((128 << 20)) > "${lun_path[vol0]}/attrib/dev_size"
saw "one that grows" reconfigured vol0 'size 128 MiB'

export_luns
ok "login" login
saw "a session that is made" session_created 'session[0-9]+'
saw "that is logged in" state 'session[0-9]+' 'is LOGGED_IN'
saw "its disk" disk 'sd[a-z]+'

# A connection that is cut: the session is made anew.

: > "$SEEN" # watch appends
ss -K dst 127.0.0.1 dport = 3260 >&9 2>&1
saw "a connection error" connection_error 'session[0-9]+' "10[0-9][0-9] [A-Z_]+ .*$IQN"
saw "the session fails" state 'session[0-9]+' 'is FAILED'
saw "and is back" state 'session[0-9]+' 'was FAILED, is LOGGED_IN'

# A store that freezes.
set_fault 'all freeze'
dd if="$DEV" of=/dev/null bs=4k count=1 skip=100 iflag=direct status=none 3>&- >&9 2>&1 &
reader=$!
if wait_for 10 "a slow request" event 'slow_begun|stalled' vol0; then
    pass "a request that becomes slow"
    : > "$FAULT"
    ok "it ends" wait_for 30 "the read" gone $reader
    saw "a slow request that has ended" slow vol0 'READ ?\(10\) at 800, 8 blocks, took'
else
    : > "$FAULT"
    wait_for 30 "the read" gone $reader
    fail "a request that becomes slow" "$("$CTL" slow vol0 2>&1; "$CTL" list 2>&1)"
    skip 2 "no slow request was seen"
fi

logout
saw "a session that ends" session_destroyed 'session[0-9]+'
saw "its disk goes" gone 'sd[a-z]+'

# The kernel waits for an answer of tcmu-runner while anybody listens: nobody may, without it.
make_lun vol1 64M null || bail "no vol1"
saw "another backstore" added vol1
bounded 60 systemctl stop tcmu-runner.service
saw "the daemon ends" daemon_ended tcmu-runner
ok "a backstore can be removed all the same" bounded 20 rmdir "${lun_path[vol1]}"
start_daemon
saw "the daemon is back" daemon_started tcmu-runner

kill -TERM "$watcher"
ok "SIGTERM ends it" wait_for 5 "its end" gone "$watcher"
wait "$watcher"
is $? 0 "with status 0"
watcher=''
