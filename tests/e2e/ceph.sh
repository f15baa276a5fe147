# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A real Ceph in the guest (tests/rbd/cluster), and the troubles that it may have. Sourced by stores.sh,
# which has these kinds from here. A test that uses it says "# packages: ceph" in its head.
#
#   rbd_stop     the OSD below the image is stopped (SIGSTOP)
#   rbd_full     it counts as full
#
#   ceph_up              one monitor and one OSD, unless they run
#   ceph_trouble KIND    begins. ceph_well ends whatever there is
#   ceph_down            nothing of it is left
CEPH=/run/lab/ceph
ceph_pid='' ceph_has=''

ceph_up() {
    [[ -z $ceph_pid ]] || return 0
    rm -rf "$CEPH"
    mkdir -p "${CEPH%/*}"
    setsid env "BALLAST_CEPH=$CEPH" "$LAB_SRC/tests/rbd/cluster" 3>&- >&9 2>&1 < /dev/null &
    ceph_pid=$!
    export CEPH_CONF=$CEPH/ceph.conf
    wait_for 200 "a Ceph" test -f "$CEPH/ready"
}
# Commands of the monitor from standard input, for one process: its start takes seconds.
ceph_says() { bounded 60 ceph >&9 2>&1; }

ceph_image() { # POOL/NAME SIZE
    bounded 60 rbd create "$1" --size "$2" >&9 2>&1
}
# As stores.sh calls them: one image for the store, for its LUN 0.
make_rbd_stop() { ceph_up && ceph_image "rbd/$1-0" 200M; }
make_rbd_full() { make_rbd_stop "$1"; }

ceph_trouble() { # KIND
    ceph_has=$1
    case $1 in
        rbd_stop) kill -STOP "$(< "$CEPH/osd.0.pid")" ;;
        rbd_full) ceph_full_ratio 0.0001 && wait_for 60 "a full pool" ceph_is_full ;;
    esac
}
ceph_well() {
    case $ceph_has in
        rbd_stop) kill -CONT "$(< "$CEPH/osd.0.pid")" ;;
        rbd_full) ceph_full_ratio 0.95 ;;
    esac
    ceph_has=''
}
# The share of its space that may be used before an OSD counts as full.
ceph_full_ratio() { printf "osd set-%s-ratio $1\n" nearfull backfillfull full | ceph_says; }
ceph_is_full() { bounded 60 ceph health detail | grep -q OSD_FULL; }

ceph_down() {
    [[ -n $ceph_pid ]] || return 0
    ceph_has=''
    kill "$ceph_pid"
    wait "$ceph_pid"
    ceph_pid=''
    return 0
} 2>&9
