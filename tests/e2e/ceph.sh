# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A real Ceph in the guest (tests/rbd/cluster), and the troubles that it may have. Sourced by stores.sh,
# which has these kinds from here. A test that uses it says "# packages: ceph" in its head.
#
#   rbd_stop     the OSD below the image is stopped (SIGSTOP)
#   rbd_kill     it is killed, and started again at the end (with CEPH_OSDS=2 only)
#   rbd_cut      the link of its network is down (with CEPH_OSDS=2 only)
#   rbd_full     it counts as full
#   rbd          nothing: with CEPH_OSDS=2 the image is on the other OSD
#
#   ceph_up              one monitor and one OSD, unless they run. With CEPH_OSDS=2 there are two, and
#                        one pool on each
#   ceph_trouble KIND    begins. ceph_well ends whatever there is
#   ceph_down            nothing of it is left
CEPH=/run/lab/ceph
CEPH_OSDS=1
ceph_pid='' ceph_has=''

# Two OSDs are in network namespaces, on a bridge, so that one of them can be cut off. They keep their
# data in files, so that one of them can be killed.
ceph_up() {
    [[ -z $ceph_pid ]] || return 0
    local more=()
    if ((CEPH_OSDS > 1)); then
        modprobe -a veth bridge || return 1
        # BlueStore needs a file system with O_DIRECT, which /run has not. Each pool has one OSD, whose read
        # lease must outlive a freeze (tests/rbd/cluster).
        CEPH=/srv/ceph
        more=(BALLAST_CEPH_ADDRESS=10.77.0.1/24 BALLAST_CEPH_NETNS=osd
            BALLAST_OSD_CONF=$'osd objectstore = bluestore\nbluestore block size = 2G\nosd memory target = 939524096\nosd pool default read lease ratio = 30')
    fi
    rm -rf "$CEPH"
    mkdir -p "${CEPH%/*}"
    setsid env "BALLAST_CEPH=$CEPH" "${more[@]}" "$LAB_SRC/tests/rbd/cluster" "$CEPH_OSDS" 3>&- >&9 2>&1 < /dev/null &
    ceph_pid=$!
    export CEPH_CONF=$CEPH/ceph.conf
    wait_for 200 "a Ceph" test -f "$CEPH/ready" || return 1
    ((CEPH_OSDS == 1)) || ceph_pools
}
# The pools on0 and on1, of one OSD each.
ceph_pools() {
    local i
    for ((i = 0; i < CEPH_OSDS; i++)); do
        printf '%s\n' "osd crush rule create-simple on$i osd-$i osd" \
            "osd pool create on$i 8 8 replicated on$i" "osd pool set on$i size 1 --yes-i-really-mean-it"
    done | ceph_says
    for ((i = 0; i < CEPH_OSDS; i++)); do bounded 60 rbd pool init "on$i" >&9 2>&1 || return 1; done
}
# Commands of the monitor from standard input, for one process: its start takes seconds.
ceph_says() { bounded 60 ceph >&9 2>&1; }

ceph_pool() { # KIND
    if ((CEPH_OSDS == 1)); then echo rbd; elif [[ $1 == rbd ]]; then echo on1; else echo on0; fi
}
ceph_image() { # POOL/NAME SIZE
    bounded 60 rbd create "$1" --size "$2" >&9 2>&1
}
# As stores.sh calls them: one image for the store, for its LUN 0.
make_rbd() { ceph_up && ceph_image "$(ceph_pool "${store_kind[$1]}")/$1-0" 200M; }
make_rbd_stop() { make_rbd "$1"; }
make_rbd_kill() { make_rbd "$1"; }
make_rbd_cut() { make_rbd "$1"; }
make_rbd_full() { make_rbd "$1"; }

ceph_trouble() { # KIND
    ceph_has=$1
    case $1 in
        rbd_stop) kill -STOP "$(< "$CEPH/osd.0.pid")" ;;
        rbd_kill) kill -KILL "$(< "$CEPH/osd.0.pid")" ;;
        rbd_cut) ip -n osd0 link set eth0 down ;;
        rbd_full) ceph_full_ratio 0.0001 && wait_for 60 "a full pool" ceph_is_full ;;
    esac
}
ceph_well() {
    case $ceph_has in
        rbd_stop) kill -CONT "$(< "$CEPH/osd.0.pid")" ;;
        rbd_kill)
            setsid ip netns exec osd0 ceph-osd -f -i 0 3>&- >&9 2>&1 < /dev/null &
            echo $! > "$CEPH/osd.0.pid" ;;
        rbd_cut) ip -n osd0 link set eth0 up ;;
        rbd_full) ceph_full_ratio 0.95 ;;
    esac
    ceph_has=''
}
# The share of its space that may be used before an OSD counts as full.
ceph_full_ratio() { printf "osd set-%s-ratio $1\n" nearfull backfillfull full | ceph_says; }
ceph_is_full() { bounded 60 ceph health detail | grep -q OSD_FULL; }

ceph_down() {
    [[ -n $ceph_pid ]] || return 0
    local osd
    osd=$(< "$CEPH/osd.0.pid")
    ceph_has=''
    # The cluster does not know an OSD that was started anew.
    kill -KILL "$osd"
    kill "$ceph_pid"
    wait "$ceph_pid"
    ceph_pid=''
} 2>&9
