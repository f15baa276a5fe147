#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two gateways that are a cluster of Corosync and Pacemaker, with the resources of docs/high-availability.md as they are
# typed there: the ownership of a LUN, and the address of its portal. The store is a LUN of this guest, which both
# see (lock=pr). Under load that verifies, the LUN is moved; the daemon of its owner is stopped; the owner dies. Not part
# of ci/e2e, because it needs three guests: make check-ceph.
# gateways: 2
# cpus: 2
# timeout: 1200
. "$(dirname "$0")/gateways.sh"
[[ $BACKSTORE == ballast ]] || skip_all "other handlers have no shared stores of their own"
plan 29
declare -A address=([a]=10.79.0.1 [b]=10.79.0.2)
HERE=10.79.0.9
FLOATING=10.79.0.3
STORE=iqn.2026-01.org.ballast:store

# ---- set-up ----

# One network for all three, so that an address can move.
network_up() {
    local gateway
    modprobe -a virtio_net bridge && ip link add br0 type bridge && ip address add "$HERE/24" dev br0 || return 1
    for gateway in $GATEWAYS; do ip link set "eth$(number_of "$gateway")" master br0 up || return 1; done
    ip link set br0 up
    for gateway in $GATEWAYS; do
        gateway_up "$gateway" && on "$gateway" "ip address replace ${address[$gateway]}/24 dev eth0" || return 1
    done
}
store_up() {
    local IQN=$STORE PORTAL=$HERE:3260
    mkdir -p /etc/target/pr /etc/rtslib-fb-target/pr && load_modules &&
        make_lio store rd_mcp_0 rd_pages=$((64 << 8)) && export_luns store || return 1
    echo 1 > "$(tpg)/attrib/generate_node_acls" && echo 1 > "$(tpg)/attrib/cache_dynamic_acls" &&
        echo 0 > "$(tpg)/attrib/demo_mode_write_protect"
}
# The LUN of the page: on each gateway with one name, one target and the portal that moves.
lun_up() { # GATEWAY
    # shellcheck disable=SC2016 # the gateway's
    on "$1" "echo 'InitiatorName=iqn.2026-01.org.example:$1' > /etc/iscsi/initiatorname.iscsi
        local IQN=$IQN INITIATOR=$INITIATOR PORTAL=$HERE:3260 store=$STORE portal=$FLOATING:3260"'
        sysctl -q net.ipv4.ip_nonlocal_bind=1
        bus_policy && fresh_daemon && discover && iscsiadm -m node -T "$store" --login &&
        wait_for 30 "the store" test -b "$(by_path 0 "$store")" &&
        make_lun vol0 64M "file=$(readlink -e "$(by_path 0 "$store")");lock=pr" &&
        PORTAL=$portal export_luns'
}
node_up() { # GATEWAY
    on "$1" ". $LAB_SRC/tests/e2e/pacemaker.sh; cluster_begin a=${address[a]} b=${address[b]}"
}
node_down() { # GATEWAY
    on "$1" 'cluster_end; journalctl --boot > /lab/out/journal.log; remove_configfs' >&9
}
both() { # COMMAND: with each gateway, at once
    local gateway pids=() pid status=0
    for gateway in $GATEWAYS; do
        "$@" "$gateway" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || status=1; done
    return $status
}
typed() { sed -n '/^pcs /p' "$LAB_SRC/docs/high-availability.md" | sed "s/10\.0\.0\.3/$FLOATING/"; }
test_cleanup() {
    load_kill
    gateways_well
    bounded 60 iscsiadm -m node -T "$IQN" --logout >&9 2>&1
    # The gateways' LUNs go before their store does.
    both node_down
    gateways_end
    clear_target
    ip link del br0
    stores_cleanup
}

# ---- what happens ----

runs() { on "$1" "runs_on vol0 $2 && runs_on vol0-address $2"; } # FROM-GATEWAY ON-GATEWAY
access_of() { on "$1" "$LAB_BUILD/ballastctl list --json" | jq -r '.luns[0].access'; }
load() { # NAME
    load_start 0 "$1" --name="$1" --filename="$DEV" --rw=randwrite --size=4m --verify_backlog=16 --rate_iops=20,20 \
        --time_based --runtime=60 --write_lat_log="$TEST_DIR/load-$1-w"
    load_from[0]=$(answered_by 0)
    wait_for 60 "load" load_runs 0
}
# goes NAME COMMAND...: does that, under load, and the LUN goes from $was to $other, which then change places. 6 assertions.
goes() {
    local at last=$was
    ok "$1: load" load "$1"
    at=$EPOCHREALTIME
    ok "$1: gateway $was" "${@:2}"
    was=$other other=$last
    ok "$1: gateway $was has the LUN" wait_for 180 "vol0 on $was" runs "$was" "$was"
    is "$(access_of "$was")" owner "$1: and owns the store"
    ok "$1: the load ends well, and every block is as it was written" load_end 0 240
    note "$1: longest time without an answer $(load_gap "$1" "$at" "$EPOCHREALTIME") ms"
    is "$(cat "$TEST_DIR/load-$1.err")" "" "$1: fio has nothing to say"
}

ok "the gateways are up, in one network" network_up
ok "a store" store_up
ok "each gateway has a LUN on it" eval 'lun_up a && lun_up b'
ok "they are a cluster" both node_up
ok "the resources of the page" on a "$(typed | sed 's/$/ \&\&/') true"
ok "they run, on one gateway" wait_for 120 "vol0 and its address" eval 'runs a a || runs a b'
was=a other=b
! runs a b || was=b other=a
is "$(access_of "$was"), $(access_of "$other")" "owner, standby" "whose the store is"
ok "login at the address that moves" eval 'PORTAL=$FLOATING:3260 && login 1'

goes move on "$was" "crm_resource --resource vol0 --move --node $other"
is "$(access_of "$other")" standby "move: the other gateway stands by"
on "$was" "crm_resource --resource vol0 --clear" >&9

goes stop on "$was" "bounded 100 systemctl stop tcmu-runner.service"
like "$(on "$was" cluster_log)" "vol0 start on $other returned '[Ee]rror' \(tcmu-runner does not run" "stop: the reason is said"
ok "stop: the daemon runs again, and Pacemaker is told" on "$other" "start_daemon && crm_resource --cleanup --resource vol0"

goes kill trouble "$was" kill
