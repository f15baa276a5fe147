# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests with gateways: guests beside this one, which is the initiator and runs Ceph. Such a test says
# "# gateways: 2" in its head. Sourced instead of stores.sh.
#
#   gateways_up                wait for the gateways a, b, ...: 10.78.0.1, 10.78.1.1, ...
#   on GATEWAY COMMAND...      it does that, in a shell with lib.sh that stays. Prints what it says; its status
#   trouble GATEWAY VERB       start, stop, cont, kill, cut, plug (ci/lab-lib/gateways)
#   ceph_for_gateways          a Ceph here, and each gateway can reach it: $CEPH_CONF is the same file there
#   login_at GATEWAY           logs in to its target, iqn…:GATEWAY
. "$(dirname "${BASH_SOURCE[0]}")/stores.sh"
: "${GATEWAYS:=a b}"
declare -A killed=()

number_of() { local before=abcd; before=${before%"$1"*}; echo ${#before}; }
portal_of() { echo "10.78.$(number_of "$1").1:3260"; }
iqn_of() { echo "$IQN-$1"; }
folder_of() { echo "/lab/out/gateway-$1"; }

gateways_up() {
    local gateway number
    [[ -n ${IN_LAB-} ]] && modprobe virtio_net || return 1
    for gateway in $GATEWAYS; do
        number=$(number_of "$gateway")
        ip link set "eth$number" up
        ip address replace "10.78.$number.9/24" dev "eth$number"
        gateway_up "$gateway" || return 1
    done
}
gateway_up() { wait_for 300 "gateway $1" test -f "$(folder_of "$1")/up"; }

on() {
    local folder number=1
    [[ -z ${killed[$1]-} ]] || { echo "gateway $1 was killed"; return 125; }
    folder=$(folder_of "$1")
    while [[ -f $folder/command.$number ]]; do number=$((number + 1)); done
    printf '%s\n' "${*:2}" > "$folder/command.new"
    mv "$folder/command.new" "$folder/command.$number"
    wait_for "${ON_SECONDS:-120}" "gateway $1: ${*:2}" test -f "$folder/status.$number" || return 124
    cat "$folder/said.$number"
    return "$(< "$folder/status.$number")"
}
trouble() {
    local number=1
    while [[ -f /lab/out/asked.$number ]]; do number=$((number + 1)); done
    : > "/lab/out/asked.$number"
    echo "lab: gateway $1: $2" > /dev/kmsg
    case $2 in
        kill) killed[$1]=yes ;;
        start) unset "killed[$1]" ;;
    esac
    # The lab has this port (ci/guest/agent).
    echo "@lab gateway $1 $2 $number" >&8
    wait_for 30 "gateway $1: $2" test -f "/lab/out/did.$number"
}

# An address that no cable has, so that it does not go with one.
ceph_for_gateways() {
    local gateway
    modprobe dummy || return 1
    [[ -d /sys/class/net/ceph0 ]] || ip link add ceph0 type dummy || return 1
    ip address replace 10.77.0.1/24 dev ceph0 && ip link set ceph0 up || return 1
    export BALLAST_CEPH_ADDRESS=10.77.0.1/24
    ceph_up || return 1
    for gateway in $GATEWAYS; do ceph_on "$gateway" || return 1; done
}
ceph_on() { # GATEWAY
    cp "$CEPH/ceph.conf" "$CEPH/keyring" "$(folder_of "$1")/" &&
        on "$1" "mkdir -p $CEPH && cp /lab/out/{ceph.conf,keyring} $CEPH/ && export CEPH_CONF=$CEPH_CONF"
}

# serve_lun GATEWAY NAME SIZE CONFIG: a LUN there, on a target of that gateway's.
serve_lun() {
    on "$1" "IQN=$(iqn_of "$1"); fresh_daemon; make_lun '$2' $3 '$4' && export_luns"
}
login_at() {
    local portal iqn
    portal=$(portal_of "$1")
    iqn=$(iqn_of "$1")
    PORTAL=$portal discover && bounded 60 iscsiadm -m node -T "$iqn" -p "$portal" --login >&9 2>&1 &&
        wait_for 30 "the disk of gateway $1" test -b "$(PORTAL=$portal by_path 0 "$iqn")"
}
disk_at() { readlink -e "$(PORTAL=$(portal_of "$1") by_path 0 "$(iqn_of "$1")")"; }

# What the gateways' logs say is with the results. Their LUNs go before Ceph does.
gateways_end() {
    local gateway
    for gateway in $GATEWAYS; do
        # shellcheck disable=SC2016 # the gateway's
        ON_SECONDS=60 on "$gateway" 'cp "$DAEMON_LOG" /lab/out/; dmesg > /lab/out/dmesg.log; clear_target' >&9
    done
    # For the next test.
    for gateway in "${!killed[@]}"; do trouble "$gateway" start; done
}
gateways_well() {
    local gateway
    for gateway in $GATEWAYS; do
        [[ -z ${killed[$gateway]-} ]] || continue
        trouble "$gateway" cont
        trouble "$gateway" plug
    done
}
test_cleanup() {
    gateways_well
    # The initiator's side first.
    clear_target
    gateways_end
    stores_cleanup
}
