#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One image, two gateways, dm-multipath: docs/high-availability.md as it is typed there. The gateway in use stands
# still, the next one is cut off from the initiator, the next one dies, each under load that verifies. The load goes
# on by the other path, nothing is lost or reordered, and what a gateway had when it stood still lands nowhere.
# The times of the NOPs are longer on a slow machine (E2E_NOP: seconds). Not part of ci/e2e, because it needs three
# guests: make check-ceph.
# packages: ceph
# gateways: 2
# cpus: 2
# timeout: 1500
. "$(dirname "$0")/gateways.sh"
[[ $BACKSTORE == ballast ]] || skip_all "Ballast moves between gateways; other handlers have their own ways"
plan 28
nop=${E2E_NOP:-$((LAB_SLOW > 3 ? 15 : 5 * LAB_SLOW))}
newer=$TEST_DIR/newer
multipathd_pid=

# ---- set-up ----

# The commands of docs/high-availability.md, with this machine's names and a small image.
typed() { # NUMBER: of the page's blocks
    awk -v wanted="$1" '/^```/ { n += !inside; inside = !inside; next } inside && n == wanted' \
        "$LAB_SRC/docs/high-availability.md"
}
gateway_set_up() { # GATEWAY BLOCK: the block that this gateway alone types
    local said
    { typed 1; typed "$2"; } | sed -n "s|^/> ||p" | sed "s|iqn.2003-01.org.example:disks|$IQN|
        s|iqn.1993-08.org.debian:01:initiator|$INITIATOR|
        s|10.0.0.\([12]\)\$|$(portal_of "$1")|; s|:3260\$||
        s|size=100G|size=128M|; s|rbd=disks/vol0;id=ballast|rbd=rbd/vol0;conf=$CEPH_CONF|" > "$(folder_of "$1")/typed"
    said=$(on "$1" 'fresh_daemon && mkdir -p /etc/rtslib-fb-target /run/targetcli &&
        TARGETCLI_HOME=/run/targetcli bounded 300 targetcli < /lab/out/typed') || return 1
    printf '%s\n' "$said" >&9
    if grep -iE 'error|cannot|fail|invalid|no such|syntax' <<< "$said"; then return 1; fi
}
log_in() { # GATEWAY
    local portal setting
    portal=$(portal_of "$1")
    PORTAL=$portal discover || return 1
    for setting in 'conn[0].timeo.noop_out_interval' 'conn[0].timeo.noop_out_timeout' session.timeo.replacement_timeout; do
        iscsiadm -m node -T "$IQN" -p "$portal" --op update -n "node.$setting" -v "$nop" || return 1
    done
    bounded 60 iscsiadm -m node -T "$IQN" -p "$portal" --login >&9 2>&1 &&
        wait_for 30 "the disk of gateway $1" path_of "$1"
}
path_of() { readlink -e "$(PORTAL=$(portal_of "$1") by_path 0)"; }
multipath_begin() {
    typed 4 > /etc/multipath.conf
    modprobe -a dm-multipath scsi_dh_alua dm-service-time || return 1
    mkdir -p /etc/multipath
    # By default multipathd takes only disks that it knows.
    multipath -a "$(path_of a)" >&9 2>&1
    multipathd -d -s 3>&- 8>&- > "$TEST_DIR/multipathd.log" 2>&1 < /dev/null &
    multipathd_pid=$!
    wait_for 60 "a multipath map" map
}
map() { map_name=$(dmsetup ls --target multipath | awk 'NR == 1 { print $1 }') && [[ -b /dev/mapper/$map_name ]]; }
both_paths() { (($(bounded 20 multipathd show paths format "%d %t %T" 2>&9 | grep -cE 'active (ready|ghost)') == 2)); }
multipath_end() {
    [[ -n $multipathd_pid ]] || return 0
    dmsetup message "$map_name" 0 fail_if_no_path
    multipathd disablequeueing maps
    kill "$multipathd_pid" && wait "$multipathd_pid"
    bounded 20 dmsetup remove --retry "$map_name"
} >&9 2>&1
test_cleanup() {
    load_kill
    gateways_well
    multipath_end
    clear_target
    gateways_end
    stores_cleanup
}

# ---- load ----

answered_on() { awk '{print $1 + $5}' "/sys/block/$(basename "$(path_of "$1")")/stat"; }
# The gateway whose path is in use. There is load, which may pause for a moment.
in_use() {
    local a b tries
    for ((tries = 0; tries < 60; tries++)); do
        a=$(answered_on a) b=$(answered_on b)
        pause 2
        a=$(($(answered_on a) - a)) b=$(($(answered_on b) - b))
        ((a <= b + 10)) || { echo a; return; }
        ((b <= a + 10)) || { echo b; return; }
    done
    echo none
}
other_of() { if [[ $1 == a ]]; then echo b; else echo a; fi; }
load_on_map() { # NAME SECONDS
    load_start 0 "$1" --name="$1" --filename="/dev/mapper/$map_name" --numjobs=4 --rw=randwrite --size=512k \
        --offset_increment=512k --verify_backlog=16 --rate_iops=20,20 --time_based --runtime="$2" --group_reporting \
        --write_lat_log="$TEST_DIR/load-$1-w"
}
map_moves() { (($(map_answered) > $1)); }
map_answered() { awk '{print $1 + $5}' "/sys/block/$(basename "$(readlink -e "/dev/mapper/$map_name")")/stat"; }

# failover VERB BACK: 7 assertions.
failover() {
    local was gap at last
    load_on_map "$1" $((LAB_SLOW > 2 ? 100 : 60))
    at=$(map_answered)
    ok "$1: load" wait_for 60 "load" map_moves $((at + 100))
    was=$(in_use)
    last=$(answered_on "$(other_of "$was")")
    at=$EPOCHREALTIME
    ok "$1: gateway $was, which is in use" trouble "$was" "$1"
    moved() { (($(answered_on "$(other_of "$was")") > last + 100)); }
    ok "$1: the load goes on by the other path" wait_for 120 "I/O by gateway $(other_of "$was")" moved
    # Newer data for what the gateway had under way: it must stay.
    ok "$1: newer data is written" dd if="$newer" of="/dev/mapper/$map_name" bs=64k seek=1024 oflag=direct conv=notrunc status=none
    [[ -z $2 ]] || trouble "$was" "$2"
    ok "$1: the load ends well, and every block is as it was written" load_end 0 $((120 + 60))
    gap=$(load_gap "$1" "$at" "$EPOCHREALTIME")
    note "$1: longest time without an answer $gap ms, with NOPs every $nop s, for $nop s"
    is "$(cat "$TEST_DIR/load-$1.err")" "" "$1: fio has nothing to say"
    blockdev --flushbufs "/dev/mapper/$map_name"
    ok "$1: the newer data is there" cmp -n $((4 << 20)) -i $((64 << 20)):0 "/dev/mapper/$map_name" "$newer"
}

head -c $((4 << 20)) /dev/urandom > "$newer"
ok "the gateways are up" gateways_up
ok "a Ceph that they reach" ceph_for_gateways
ok "an image" ceph_image rbd/vol0 128M
ok "gateway a has it" gateway_set_up a 2
ok "gateway b, too" gateway_set_up b 3
ok "a login at both" eval "log_in a && log_in b"
ok "multipath makes one disk of them" multipath_begin
for trouble in "stop cont" "cut plug" "kill "; do
    read -r verb back <<< "$trouble"
    wait_for 200 "both paths" both_paths
    failover "$verb" "$back"
done
