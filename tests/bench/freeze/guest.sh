#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the lab guest, started by run.sh: cells of the freeze matrix, each from nothing to nothing.
#
#   guest.sh CELL...     CELL: TARGET-INITIATOR-SECONDSs-FROZEN-STORE, as block-default-60s-1-dm
#
# What each cell leaves in $LAB_OUT/cells/CELL, times in seconds since 1970 unless told otherwise:
#   meta           KEY=VALUE: what was done when, and what was found at the end
#   load-N*        fio on LUN N (the last is the healthy one): one line an answer, of both its jobs
#   samples        threads in D state, states and depths of the disks (tests/e2e/tools/watch-freeze.py)
#   kernel.log     the kernel's words, from before the freeze to the end
#   trace.log      each failed request, each SCSI timeout, each step of the iSCSI error handler
#   tcmu-runner.log
# and `done` when it is whole. Times of kernel.log and trace.log have a zero of their own: both hold a
# line "lab: frozen", whose time the meta file has.
#
# Exit: 0; 75 if a cell left behind what only a new boot cleans away, run.sh goes on in one.
# shellcheck disable=SC2034
: "${LAB_OUT:?run.sh starts this in the lab guest}"
TEST_DIR=$LAB_OUT/guest
mkdir -p "$TEST_DIR"
. "$(dirname "$0")/../../e2e/stores.sh"
tap_planned=0
before=15      # seconds of load before the freeze: what the healthy LUN is compared with
warm_up=10     # until fio has begun
after=15       # and after the thaw, for LUNs that did not freeze
patience=260   # at most until the load has ended, after the thaw: the error handler takes its time
# Readers and writers, and requests a second of each: far from what the guest can do, so that gaps show.
frozen_load=(4 16) healthy_load=(12 4)
CTL=$LAB_BUILD/ballastctl
tracing=/sys/kernel/tracing/instances/freeze

WATCH_PHASE=/run/phase

say() { printf '%s\n' "$*"; }

# ---- one target of each kind --------------------------------------------------------------------

# Targets, on a store of those in tests/e2e/stores.sh:
#   block    LIO's block backstore, which needs a device
#   fileio   LIO's fileio backstore, buffered as it is by default
#   stock    stock tcmu-runner: of its handlers, user:qcow takes a plain disk image, but only a regular
#            file (it compares st_size), so a store that is a device gets an ext4 and a raw image in
#            it. It goes through the page cache, so writes freeze late; but what is not cached must be
#            read, and its one thread for each LUN then waits, and all behind it. The kernel's TCMU
#            answers for it after its cmd_time_out of 30 s: with an error.
#   patient  the same with cmd_time_out 0, the kernel waits for ever
#   ballast  user:ballast, O_DIRECT
# On an image in Ceph, stock is its handler user:rbd, and the healthy LUN is an image on another OSD.
make_target() { # TARGET NAME PATH, of $lun_bytes
    local name=$2 path=$3 backstore=ballast
    if [[ ${store_kind[$name]} == rbd* ]]; then
        if [[ $1 != ballast ]]; then
            backstore=rbd
            # It takes no image of another size.
            bounded 60 rbd resize --no-progress --allow-shrink --size "$((lun_bytes >> 20))M" \
                "$(ceph_pool "${store_kind[$name]}")/$name-0" >&9 2>&1 || return 1
        fi
        BACKSTORE=$backstore make_lun "$name" "$lun_bytes" "$(store_config "$name" 0)"
        return
    fi
    case $1 in
        block)
            [[ -b $path ]] || { say "LIO's block backstore needs a device"; return 1; }
            make_lio "$name" "iblock_${#lun_names[@]}" "udev_path=$path" ;;
        fileio)
            # Buffered, and with the write cache that it says it has.
            make_lio "$name" "fileio_${#lun_names[@]}" "fd_dev_name=$path,fd_dev_size=$lun_bytes,fd_buffered_io=1" ;;
        stock | patient)
            if [[ -b $path ]]; then
                file_system "$name" mkfs.ext4 -q || return 1
                path=$(store_path "$name" 0)
            fi
            dd if=/dev/zero of="$path" bs=1M count=128 status=none &&
                BACKSTORE=qcow make_lun "$name" "$lun_bytes" "file=$path" || return 1
            [[ $1 == stock ]] || echo 0 > "${lun_path[$name]}/attrib/cmd_time_out" ;;
        ballast) make_lun "$name" "$lun_bytes" "file=$path" ;;
        *) say "no such target: $1"; return 1 ;;
    esac
}

set_initiator() { # KIND, before the login
    case $1 in
        # What open-iscsi's iscsid.conf says on Debian: abort_timeout 15, replacement_timeout 120.
        default | tuned) ;;
        # As often advised for multipath: fail early.
        short) iscsi_set node.session.err_timeo.abort_timeout 4 && iscsi_set node.session.timeo.replacement_timeout 3 ;;
        *) say "no such initiator: $1"; return 1 ;;
    esac
}
# What an operator does: `ballastctl tune`. It touches disks of Ballast's only, so the others' get the
# one setting that counts here by hand, the same: how long an answer of BUSY is believed is
# (max_retries + 1) x timeout.
tune_disks() { # TARGET SECONDS LUN...: after the login
    local target=$1 seconds=$2 lun
    shift 2
    if [[ $target == ballast ]]; then
        "$CTL" tune --survive "${seconds}s" > "$TEST_DIR/tune.log" 2>&1 || { cat "$TEST_DIR/tune.log"; return 1; }
        # Half of it counts from the next login.
        logout && login
        return
    fi
    for lun in "$@"; do
        echo $(((seconds + 20) / 6 + 1)) > "/sys/block/$(basename "$(dev "$lun")")/device/timeout" || return 1
    done
}

trace_begin() {
    mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
    mkdir -p $tracing
    echo 4096 > $tracing/buffer_size_kb
    echo mono > $tracing/trace_clock
    echo > $tracing/trace
    local event
    for event in block/block_rq_error scsi/scsi_dispatch_cmd_timeout iscsi/iscsi_dbg_eh; do
        echo 1 > "$tracing/events/$event/enable" || say "no event $event in this kernel"
    done
    echo 1 > $tracing/tracing_on
    dmesg -w > "$TEST_DIR/kernel.log" 3>&- 2>&9 < /dev/null &
    dmesg_pid=$!
}
trace_end() {
    echo 0 > $tracing/tracing_on
    cp $tracing/trace "$TEST_DIR/trace.log"
    kill "$dmesg_pid" && wait "$dmesg_pid"
    dmesg_pid=
} 2>&9

# ---- a cell -------------------------------------------------------------------------------------

meta() { echo "$1=$2" >> "$TEST_DIR/meta"; }
phase() { echo "$cell: $*" > "$WATCH_PHASE"; }

run_cell() { # CELL
    local target initiator seconds frozen store lun name names=() status=0
    cell=$1
    IFS=- read -r target initiator seconds frozen store <<< "$cell"
    seconds=${seconds%s}
    healthy=$frozen
    luns=()
    local results=$LAB_OUT/cells/$cell
    TEST_DIR=/run/$cell
    rm -rf "$TEST_DIR" "$results"
    mkdir -p "$TEST_DIR" "$results"
    say "=== $cell: $target on $store, initiator $initiator, $frozen frozen for $seconds s, one healthy"
    [[ $store != rbd_* ]] || CEPH_OSDS=2
    E2E_LOG_LEVEL=3 fresh_daemon
    modprobe target_core_iblock
    for ((lun = 0; lun <= frozen; lun++)); do
        name=freeze$lun
        store_kind["$name"]=$store
        lun_bytes=$((128 << 20))
        # The load of the healthy one is as long as the freeze, and reads each block once.
        ((lun < frozen)) || store_kind["$name"]=$(healthy_kind "$store") lun_bytes=$((192 << 20))
        if ! "make_${store_kind[$name]}" "$name" || ! make_target "$target" "$name" "$(store_path "$name" 0)"; then
            say "cannot make LUN $lun: $(tail -n 3 "$DAEMON_LOG")"
            return 1
        fi
        luns+=("$lun")
        ((lun == frozen)) || names+=("$name")
    done
    if ! export_luns || ! set_initiator "$initiator" || ! login; then
        say "cannot log in"
        return 1
    fi
    [[ $initiator != tuned ]] || tune_disks "$target" "$seconds" "${luns[@]}" || { say "cannot tune the disks"; return 1; }

    # For as long as a LUN is not frozen.
    local -A load=()
    for lun in "${luns[@]}"; do
        load[$lun]="$((warm_up + before + after)) ${frozen_load[*]}"
        ((lun != healthy)) || load[$lun]="$((warm_up + before + after + seconds)) ${healthy_load[*]}"
        # shellcheck disable=SC2086
        load_fill "$lun" ${load[$lun]} || { say "cannot fill LUN $lun"; return 1; }
        meta "disk$lun" "$(basename "$(dev "$lun")")"
        meta "depth_before$lun" "$(depth_of "$lun")"
    done
    say "  $cell: LUNs made, logged in and filled"
    # So that a target with a cache has to go to its disk.
    sync && echo 1 > /proc/sys/vm/drop_caches

    meta target "$target"; meta initiator "$initiator"; meta seconds "$seconds"; meta store "$store"
    meta frozen "$frozen"; meta kernel "$(uname -r)"
    trace_begin
    watch_begin "${luns[@]}"
    phase "load begins"
    # shellcheck disable=SC2086
    for lun in "${luns[@]}"; do load_begin "$lun" ${load[$lun]}; done
    for lun in "${luns[@]}"; do wait_for 60 "load on LUN $lun" load_runs "$lun" || return 1; done
    meta begun "$EPOCHREALTIME"
    phase "before the freeze"
    sleep $before
    stores_freeze "${names[@]}" || { say "  cannot freeze"; return 1; }
    local now=$EPOCHREALTIME
    echo "lab: frozen" > $tracing/trace_marker
    meta frozen_at "$now"
    phase "frozen since $(date +%T)"
    sleep "$seconds"
    meta thawed_at "$EPOCHREALTIME"
    stores_thaw
    echo "lab: thawed" > $tracing/trace_marker
    phase "thawed at $(date +%T)"

    local end=$((SECONDS + patience))
    while ((SECONDS < end)) && ! loads_ended; do sleep 1; done
    for lun in "${luns[@]}"; do
        load_end "$lun" 1
        meta "fio_status$lun" $?
    done
    meta ended_at "$EPOCHREALTIME"
    phase "reading everything back"
    for lun in "${luns[@]}"; do
        meta "depth_after$lun" "$(depth_of "$lun")"
        meta "state_after$lun" "$(cat "/sys/block/$(basename "$(dev "$lun")")/device/state" 2>&9 || echo gone)"
        load_check "$lun"
        meta "check_status$lun" $?
    done
    watch_end
    trace_end
    cp "$DAEMON_LOG" "$TEST_DIR/" 2>&9
    cp "$TEST_DIR"/* "$results/"
    touch "$results/done"
    python3 "$LAB_SRC/tests/bench/freeze/table.py" --line "$results" || status=1
    return $status
}
loads_ended() { local pid; for pid in "${load_pids[@]}"; do gone "$pid" || return 1; done; }

# Nothing may be left: not in LIO, not below it, and no thread that waits for good.
clean_up() {
    local left
    [[ -z ${dmesg_pid-} ]] || kill "$dmesg_pid" 2>&9
    dmesg_pid=
    stores_thaw
    watch_end > /dev/null
    load_kill
    clear_target
    "$CTL" tune --undo >&9 2>&1
    stores_remove || return 1
    left=$(configfs_leftovers)
    [[ -z $left ]] || { say "  left behind: $left"; return 1; }
    wait_for 20 "threads to settle" settled
}
# shellcheck disable=SC2009,SC2317 # pgrep knows no states of threads
settled() { ! ps -eLo stat,comm | grep -E '^D.* (iscsi|kworker.*target)'; }
# shellcheck disable=SC2317 # lib.sh calls it
test_cleanup() { clean_up; }

# A function, so that bash has read all of it before the first cell.
main() {
    local one
    for one in "$@"; do
        run_cell "$one" || say "  $one: not whole"
        TEST_DIR=$LAB_OUT/guest
        clean_up && continue
        say "  $one has left this guest unusable: a new one is needed"
        trap - EXIT
        exit 75
    done
}
main "$@"
exit
