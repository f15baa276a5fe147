# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The targets of the bench, and where their disks are: sourced by guest.sh. make_places fills
# `places` with lines "FABRIC TARGET PATH", in the order of BENCH_TARGETS and BENCH_FABRICS, from
# guest.sh's $size, $targets and $fabrics.
# shellcheck disable=SC2154

places=()
TGT_IQN=iqn.2026-01.org.ballast:tgt
TGT_PORTAL=127.0.0.1:3261
TGT_DISK=/dev/disk/by-path/ip-$TGT_PORTAL-iscsi-$TGT_IQN-lun-1
loop_device=

make_target() { # NAME
    local file=/srv/bench-$1.raw
    case $1 in
        ramdisk) make_lio ramdisk rd_mcp_0 "rd_pages=$(($(bytes_of "$size") / 4096))" ;;
        block)
            truncate -s "$(bytes_of "$size")" "$file" && loop_device=$(losetup --find --show --direct-io=on "$file") &&
                modprobe target_core_iblock && make_lio block iblock_0 "udev_path=$loop_device"
            ;;
        fileio | qcow) BACKSTORE=$1 make_lun "$1" "$size" "file:$file" ;;
        null) make_lun null "$size" null: ;;
        file) make_lun file "$size" "file:$file" ;;
        buffered) make_lun buffered "$size" "file:$file;cache=buffered" ;;
        rbd | user-rbd)
            # tcmu-runner's own handler of images takes what stands behind "rbd=".
            ceph_up && ceph_image "rbd/$1" "$size" &&
                BACKSTORE=$([[ $1 == rbd ]] && echo ballast || echo rbd) make_lun "$1" "$size" "rbd=rbd/$1;conf=$CEPH_CONF"
            ;;
        # The same, asleep until the kernel's event.
        null-off) make_lun null-off "$size" "null:;poll=off" ;;
        file-off) make_lun file-off "$size" "file:$file;poll=off" ;;
        buffered-off) make_lun buffered-off "$size" "file:$file;cache=buffered;poll=off" ;;
        tgt | disk | pagecache) truncate -s "$(bytes_of "$size")" "$file" ;;
        *) bail "no such target: $1" ;;
    esac
}

in_lio() { [[ ! $1 =~ ^(tgt|disk|pagecache)$ ]]; }

# tgt serves a file through its page cache, as `buffered` does; on a portal of its own.
start_tgt() {
    tgtd --foreground --iscsi "portal=$TGT_PORTAL" >&9 2>&1 &
    wait_for 20 "tgtd" tgtadm --lld iscsi --mode sys --op show || return 1
    tgtadm --lld iscsi --op new --mode target --tid 1 -T "$TGT_IQN" &&
        tgtadm --lld iscsi --op new --mode logicalunit --tid 1 --lun 1 --backing-store /srv/bench-tgt.raw &&
        tgtadm --lld iscsi --op bind --mode target --tid 1 --initiator-address ALL || return 1
    iscsiadm -m node -T "$TGT_IQN" -p "$TGT_PORTAL" --op new >&9 2>&1 &&
        bounded 60 iscsiadm -m node -T "$TGT_IQN" -p "$TGT_PORTAL" --login >&9 2>&1 || return 1
    wait_for 30 "tgt's disk" test -b "$TGT_DISK"
}

make_places() {
    local target fabric number
    for target in "${targets[@]}"; do make_target "$target" || return 1; done
    ((${#lun_names[@]} == 0)) || { export_luns && login || return 1; }
    [[ " ${targets[*]} " != *" tgt "* ]] || start_tgt || return 1
    [[ " ${fabrics[*]} " != *" loop "* ]] || loop_attach "${lun_names[@]}" || return 1
    for fabric in "${fabrics[@]}"; do
        number=0
        for target in "${targets[@]}"; do
            if in_lio "$target"; then
                if [[ $fabric == loop ]]; then
                    places+=("loop $target $(loop_dev "$number")")
                else
                    places+=("iscsi $target $(dev "$number")")
                fi
                number=$((number + 1))
            elif [[ $fabric == iscsi && $target == tgt ]]; then
                places+=("iscsi tgt $(readlink -e "$TGT_DISK")")
            elif [[ $fabric == iscsi ]]; then
                places+=("iscsi $target /srv/bench-$target.raw")
            fi
        done
    done
}

# The loop device goes when LIO has let go of it.
test_cleanup() {
    iscsiadm -m node -T "$TGT_IQN" -p "$TGT_PORTAL" --logout >&9 2>&1
    tgtadm --lld iscsi --op delete --force --mode target --tid 1 >&9 2>&1
    tgtadm --op delete --mode system >&9 2>&1
    [[ -z $loop_device ]] || losetup --detach "$loop_device"
    [[ -z $ceph_pid ]] || { clear_target && ceph_down; }
}
