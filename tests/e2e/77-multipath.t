#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# One target with two portals, a session to each, dm-multipath over them. multipathd makes the sessions'
# recovery_tmo short, and by default fails I/O as soon as no path is left: what doctor says of that, what tune
# changes, whether a multipathd that starts again leaves it so, and whether it holds: a portal is cut off, then the
# store behind both freezes for longer than an initiator with its default settings waits.
. "$(dirname "$0")/lib.sh"
[[ $BACKSTORE == ballast ]] || skip_all "only our disks are looked at"
plan 22

CTL=$LAB_BUILD/ballastctl
[[ -x $CTL ]] || bail "no ballastctl in $LAB_BUILD: run make first"
SECTION=/etc/multipath/conf.d/ballast.conf
FAULT=/run/$TEST_NAME.fault
PORTALS=(127.0.0.1:3260 127.0.0.2:3260)
multipathd_pid='' load='' map_name=''

# --- multipathd ---
multipathd_start() {
    multipathd -d -s 3>&- >> "$TEST_DIR/multipathd.log" 2>&1 < /dev/null &
    multipathd_pid=$!
    wait_for 60 "a multipath map" map && wait_for 30 "both paths" paths 2
}
multipathd_stop() {
    [[ -n $multipathd_pid ]] || return 0
    kill "$multipathd_pid"
    wait "$multipathd_pid"
    multipathd_pid=''
}
map() { map_name=$(dmsetup ls --target multipath | awk 'NR == 1 { print $1 }') && [[ -b /dev/mapper/$map_name ]]; }
paths() { (($(bounded 20 multipathd show paths format "%d %t %T" 2>&9 | grep -cE 'active ready') == $1)); }
queues() { dmsetup table "$map_name" | grep -q queue_if_no_path; }
multipath_end() {
    [[ -z $map_name ]] || dmsetup message "$map_name" 0 fail_if_no_path
    multipathd_stop
    [[ -z $map_name ]] || bounded 20 dmsetup remove --retry "$map_name"
}
test_cleanup() {
    : > "$FAULT"
    tc qdisc del dev lo clsact
    [[ -z $load ]] || { kill "$load" && wait "$load"; }
    multipath_end
    "$CTL" tune --undo
    rm -rf /etc/multipath
    rm -f "$FAULT"
} >&9 2>&1

# --- the initiator ---
each_portal() { # iscsiadm -m node, for each
    local portal
    for portal in "${PORTALS[@]}"; do bounded 60 iscsiadm -m node -T "$IQN" -p "$portal" "$@" || return 1; done
}
log_in() {
    each_portal --login >&9 2>&1 || return 1
    local PORTAL
    for PORTAL in "${PORTALS[@]}"; do
        wait_for 30 "the disk by $PORTAL" test -b "$(by_path 0)" || return 1
    done
}
both_sessions() { (($(cat /sys/class/iscsi_session/session*/state | grep -c LOGGED_IN) == 2)); }
recovery() { cat /sys/class/iscsi_session/session*/recovery_tmo | tr '\n' ' '; }
path_of() { basename "$(PORTAL=$1 dev 0)"; } # PORTAL
timeouts() {
    local portal
    for portal in "${PORTALS[@]}"; do cat "/sys/block/$(path_of "$portal")/device/timeout"; done | tr '\n' ' '
}
status_of() { "$@" > "$TEST_DIR/said" 2>&1; echo $?; }
said() { tee /dev/fd/9 < "$TEST_DIR/said"; }

# --- load ---
load_start() { # SECONDS
    fio --name=load --filename="/dev/mapper/$map_name" --ioengine=libaio --direct=1 --rw=randwrite --bs=4k --size=16M \
        --iodepth=4 --rate_iops=20 --verify=crc32c --verify_backlog=16 --verify_fatal=1 --time_based --runtime="$1" \
        > "$TEST_DIR/load.log" 2>&1 3>&- < /dev/null &
    load=$!
}
load_end() { # SECONDS
    wait_for "$1" "the end of the load" gone "$load" || return 1
    wait "$load"
    load=''
    # Its status is that of a program that was interrupted.
    grep -q 'err= 0:' "$TEST_DIR/load.log" || { tail -n 20 "$TEST_DIR/load.log"; return 1; }
}
done_by() { awk '{print $1 + $5}' "/sys/block/$1/stat"; } # DISK
moves() { (($(done_by "$1") > $2)); }                      # DISK, its number before
done_by_map() { awk '{print $1 + $5}' "/sys/block/$(basename "$(readlink -e "/dev/mapper/$map_name")")/stat"; }
beyond() { (($(done_by_map) > $1)); }

: > "$FAULT"
rm -rf /etc/multipath /etc/multipath.conf
fresh_daemon
make_lun vol0 64M "file=/srv/$TEST_NAME.vol0.raw;fault=$FAULT" hw_max_sectors=2048 || bail "no vol0"
export_luns && mkdir "$(tpg)/np/${PORTALS[1]}" || bail "no target with two portals"
modprobe -a dm-multipath dm-service-time || bail "no dm-multipath"
mkdir -p /etc/multipath

# --- tuned before there was a multipathd ---
ok "a session to each portal" eval "discover && log_in"
is "$(status_of "$CTL" tune) $(recovery)" "0 600 600 " "tuned as disks with one path, the sessions are waited for"
# By default multipathd takes only disks that it knows.
multipath -a "$(dev 0)" >&9 2>&1
rm "$SECTION" # as an older ballastctl left it
ok "multipathd makes one disk of them" multipathd_start
is "$(recovery)" "5 5 " "and makes the time for their sessions short, whatever tune has set"
is "$(status_of "$CTL" doctor)" 1 "doctor: something is to be changed"
like "$(said)" '^replacement_timeout +5 s +ok' "not that time: there is another path"
like "$(said)" '^no_path_retry +fail +change +queue' "but what happens when no path is left"

# --- tune ---
is "$(status_of "$CTL" tune)" 0 "tune"
like "$(said)" "^$SECTION: written" "it writes a section for multipathd"
ok "which holds I/O when no path is left" wait_for 30 "the map to queue" queues
is "$(recovery) $(timeouts)" "5 5  310 310 " "paths fail over soon, and disks wait for a store long"
each_portal --logout >&9 2>&1 # abort and NOP-out times count from the next login
ok "logged in again" log_in
ok "both paths are back" wait_for 60 "both paths" paths 2
is "$(status_of "$CTL" doctor; tail -n 1 "$TEST_DIR/said")" $'0\nok: nothing to change, a freeze of 10min is outlived' "doctor is content"
multipathd_stop
ok "multipathd starts again" multipathd_start
is "$(status_of "$CTL" doctor) $(recovery)" "0 5 5 " "doctor still is"

# --- does it hold? ---
load_start 600
ok "load on the map" wait_for 30 "load" beyond "$(($(done_by_map) + 20))"
echo 'all freeze' > "$FAULT"
pause 40
: > "$FAULT"
ok "the store was frozen for 40 s: the load goes on" wait_for 30 "load" beyond "$(($(done_by_map) + 20))"
# Packets to the portal in use are lost from now on. A NOP-out finds that after 35 s, and its commands go by the
# other.
used=${PORTALS[0]} other=${PORTALS[1]}
at=$(done_by "$(path_of "$other")")
pause 3
! moves "$(path_of "$other")" $((at + 10)) || { used=${PORTALS[1]}; other=${PORTALS[0]}; }
at=$(done_by "$(path_of "$other")")
tc qdisc add dev lo clsact &&
    tc filter add dev lo egress protocol ip u32 match ip dst "${used%:*}/32" match ip dport 3260 0xffff action drop ||
    bail "no way to cut off a portal"
ok "the portal in use is cut off: the load goes on by the other" wait_for 90 "I/O by $other" moves "$(path_of "$other")" $((at + 100))
kill -INT "$load"
ok "it saw no error, and every block that it read was as it was written" load_end 30
multipath_end
# The kernel takes no recovery_tmo for a session that has failed (EBUSY).
tc qdisc del dev lo clsact
wait_for 60 "both sessions" both_sessions

# --- undo ---
is "$(status_of "$CTL" tune --undo)" 0 "undo"
is "$(ls "$SECTION" 2> /dev/null) $(timeouts)" " 30 30 " "section and disks are as they were"
