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

# What docs/high-availability.md types into targetcli, by configfs: TPG 1 and the group gw1 are a's, the others b's.
gateway_set_up() { # GATEWAY OWN-TAG
    on "$1" "own=$2 IQN=$IQN
fresh_daemon
make_lun vol0 128M 'rbd=rbd/vol0;conf=$CEPH_CONF;lock=standby' serial=0b7a1c52-6f0e-4c55-9d3a-2f1d6c8e9a10 || return 1"'
lun=${lun_path[vol0]} target=$CONFIGFS/iscsi/$IQN
echo 0 > "$lun/attrib/emulate_pr"
mkdir -p "$CONFIGFS/iscsi"
for n in 1 2; do
    mkdir "$lun/alua/gw$n" && echo $n > "$lun/alua/gw$n/tg_pt_gp_id"
    mkdir -p "$target/tpgt_$n/lun/lun_0" && ln -s "$lun" "$target/tpgt_$n/lun/lun_0/backstore"
    echo gw$n > "$target/tpgt_$n/lun/lun_0/alua_tg_pt_gp"
done
target=$target/tpgt_$own
mkdir -p "$target/np/$PORTAL" "$target/acls/$INITIATOR/lun_0" && ln -s "$target/lun/lun_0" "$target/acls/$INITIATOR/lun_0/lun"
echo 0 > "$target/attrib/authentication" && echo 0 > "$target/attrib/generate_node_acls" && echo 1 > "$target/enable"'
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
    cat > /etc/multipath.conf << 'END'
devices {
  device {
    vendor "BALLAST"
    product ".*"
    hardware_handler "1 alua"
    prio alua
    path_grouping_policy group_by_prio
    path_checker tur
    failback manual
    no_path_retry queue
    fast_io_fail_tmo 5
  }
}
END
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
ok "gateway a has it" gateway_set_up a 1
ok "gateway b, too" gateway_set_up b 2
ok "a login at both" eval "log_in a && log_in b"
ok "multipath makes one disk of them" multipath_begin
for trouble in "stop cont" "cut plug" "kill "; do
    read -r verb back <<< "$trouble"
    wait_for 200 "both paths" both_paths
    failover "$verb" "$back"
done
