# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Two LUNs of Ballast that are two gateways before one device, a LUN of another target (LIO's own) that each of them has
# logged in to under a name of its own. Sourced instead of freeze.sh.
#
#   store_up             that target, with a disk
#   see_store GATEWAY    a or b logs in to it: ${disk_of[a]}
#   shared_and_own       four tests: that target, a LUN of each gateway on it, and a LUN "own" that is not shared
. "$(dirname "${BASH_SOURCE[0]}")/freeze.sh"

CTL=$LAB_BUILD/ballastctl
[[ -x $CTL ]] || bail "no ballastctl in $LAB_BUILD: run make first"
STORE=iqn.2026-01.org.ballast:store

shared_cleanup() {
    systemctl kill -s CONT tcmu-runner.service
    thaw
    bounded 60 iscsiadm -m node -T "$IQN" -u >&9 2>&1
    # The LUNs of Ballast go before the disks that they are on.
    remove_luns
    bounded 60 iscsiadm -m node -T "$STORE" -u >&9 2>&1
    clear_target
    iscsiadm -m iface -I gwa --op delete >&9 2>&1
    iscsiadm -m iface -I gwb --op delete >&9 2>&1
    dm_remove || note "the store's disk is still in use"
}
test_cleanup() { shared_cleanup; }
remove_luns() {
    local lun tpg
    tpg=$(tpg)
    echo 0 2>&9 > "$tpg/enable"
    for lun in "$tpg"/acls/*/lun_* "$tpg"/lun/lun_*; do
        [[ -d $lun ]] && { find "$lun" -maxdepth 1 -type l -delete; rmdir "$lun"; }
    done 2>&9
    for lun in a b; do
        [[ -z ${lun_path[$lun]-} ]] || bounded 60 rmdir "${lun_path[$lun]}"
    done 2>&9
}

# ---- the store, and what the gateways see of it ----

store_up() {
    local tpg=$CONFIGFS/iscsi/$STORE/tpgt_1
    modprobe -a target_core_iblock dm-mod && mkdir -p /etc/target/pr /etc/rtslib-fb-target/pr /var/target/pr &&
        dm_disk store 128M && make_lio store iblock_0 udev_path=/dev/mapper/store || return 1
    mkdir -p "$CONFIGFS/iscsi" "$CONFIGFS/iscsi/$STORE" && mkdir "$tpg" "$tpg/np/127.0.0.1:3261" &&
        mkdir "$tpg/lun/lun_0" && ln -s "${lun_path[store]}" "$tpg/lun/lun_0/backstore" || return 1
    echo 0 > "$tpg/attrib/authentication"
    echo 1 > "$tpg/attrib/generate_node_acls"
    echo 1 > "$tpg/attrib/cache_dynamic_acls"
    echo 0 > "$tpg/attrib/demo_mode_write_protect"
    echo 1 > "$tpg/enable"
}
see_store() { # GATEWAY: $disk_of[GATEWAY]
    local session
    iscsiadm -m iface -I "gw$1" --op new >&9 2>&1
    iscsiadm -m iface -I "gw$1" --op update -n iface.transport_name -v tcp >&9
    iscsiadm -m iface -I "gw$1" --op update -n iface.initiatorname -v "iqn.2026-01.org.example:gw$1" >&9
    iscsiadm -m node -T "$STORE" -p 127.0.0.1:3261 -I "gw$1" --op new >&9
    bounded 60 iscsiadm -m node -T "$STORE" -p 127.0.0.1:3261 -I "gw$1" --login >&9 2>&1 || return 1
    wait_for 30 "the store's disk of gateway $1" disk_seen_by "$1" || return 1
    disk_of[$1]=$(disk_seen_by "$1")
}
declare -A disk_of=()
shared_and_own() {
    ok "a target with a disk" store_up
    ok "two gateways see it" eval 'see_store a && see_store b'
    settle
    ok "each has a LUN on it" eval 'make_lun a 64M "file=${disk_of[a]};lock=pr" && make_lun b 64M "file=${disk_of[b]};lock=pr"'
    ok "and one that is shared with nobody" make_lun own 64M file=/srv/own.raw
}
disk_seen_by() {
    local session disk
    for session in /sys/class/iscsi_session/*; do
        [[ $(< "$session/initiatorname") == *:gw$1 ]] || continue
        disk=$(compgen -G "$session/device/target*/*/block/*") && echo "/dev/${disk##*/}" && return 0
    done
    return 1
}
# sg_persist does not repeat a command that a unit attention ended (its exit status 6), and a reset of the LUN, which an
# initiator on a slow machine may send, leaves one on each path. The first of these commands meets it.
persistent() { # sg_persist's ARGUMENTS
    local tries status
    for tries in 1 2 3 4 5; do
        sg_persist "$@" 2>&9
        status=$?
        ((status == 6)) || break
    done
    return $status
}
holder() { persistent --in --read-reservation "${disk_of[$1]}"; }
key_held() { holder a | sed -n 's/.*Key=//p' | tr -d ' '; }

# ---- the gateways ----

field() { until_said listed "$@"; }
listed() { "$CTL" list --json | jq -r ".luns[] | select(.name == \"$1\") | .$2"; }
access_is() { [[ $(field "$1" access) == "$2" ]]; }
activate() { bounded 40 "$CTL" activate "$1"; }
# Until it has worked: it waits for a store that stands still no longer than ten seconds.
activate_at_last() { wait_for 120 "gateway $1 to take the device" activate "$1"; }
becomes() { wait_for 30 "gateway $1: $2" access_is "$1" "$2"; }
owner_seen() { [[ $(field "$1" owner) == "$2" ]]; }
