#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the lab guest (make bench-log-freeze). First part: five LUNs, each on a disk of its own and in a
# session of its own, are written and read back; then all five disks stop answering. The disks of the caches
# and of the log do not. Second part: three LUNs are written, and the disks of the caches and of the log fail.
#
#   BENCH_FREEZE   seconds (60)
#   BENCH_CUT      seconds of writing before the caches are lost (45); 0 leaves the second part out
#
# What freezes is a disk with 32 tags, as a SATA disk has. When they are used up, whoever submits sleeps.
# The caches are as they come, apart from the one setting without which bcache does not cache writes
# (cache_mode writeback). The initiator is as it comes.
# packages: bench
# shellcheck disable=SC2004,SC2034,SC2317 # store_kind is an associative array, and what is called by name
: "${LAB_OUT:?make bench-log-freeze starts this in the lab guest}"
here=$LAB_SRC/tests/bench/log_freeze
TEST_DIR=/run/log-freeze
mkdir -p "$TEST_DIR"
. "$LAB_SRC/tests/e2e/stores.sh"
tap_planned=0
TAGS=32
seconds=${BENCH_FREEZE:-60} cut=${BENCH_CUT:-45}
rows=(log plain writecache bcache block)
# Requests a second of each writer, half of them reads: few, so that a slow machine keeps up.
before=20 after=10 rate=2 writers=4
tracing=/sys/kernel/tracing/instances/log-freeze
lun_disk=() # at the initiator, by the number of the row

say() { printf '%s\n' "$*"; }
meta() { echo "$*" >> "$TEST_DIR/meta"; }
# The helpers know LUNs of one session; here the number is that of the row.
dev() { echo "${lun_disk[$1]}"; }
sectors() { blockdev --getsz "$1"; }

# cached KIND NAME STORE CACHE: sets $device, which is both.
cached() {
    case $1 in
        writecache)
            modprobe dm-writecache && dmsetup create "$2-cached" --table \
                "0 $(sectors "$3") writecache s $3 $4 4096 0" && device=/dev/mapper/$2-cached ;;
        bcache)
            local part
            modprobe bcache && make-bcache --writeback --bucket 128k -C "$4" -B "$3" >&9 2>&1 || return 1
            # udev may have registered them already.
            for part in "$3" "$4"; do echo "$part" > /sys/fs/bcache/register; done 2>&9
            part=/sys/class/block/$(basename "$(readlink -e "$3")")/bcache
            wait_for 20 "bcache" bcache_works "$part" && device=/dev/$(basename "$(readlink -e "$part/dev")") ;;
    esac
}
bcache_works() { [[ -e $1/dev && $(< "$1/state") != "no cache" ]]; }

# make_row NUMBER KIND NAME STORE CACHE: a LUN, in a session of its own.
make_row() {
    local number=$1 name=$3 device=$4
    case $2 in
        log) make_lun "$name" 128M "file=$4;log=$5;log_size=256MiB" ;;
        plain) make_lun "$name" 128M "file=$4" ;;
        block) make_lio "$name" "iblock_$number" "udev_path=$4" ;;
        *) cached "$2" "$name" "$4" "$5" && make_lio "$name" "iblock_$number" "udev_path=$device" ;;
    esac || return 1
    IQN=iqn.2026-01.org.ballast:$name PORTAL=127.0.0.1:$((3260 + number))
    [[ $2 != log ]] || wait_for 90 "the log" opened "$name" || return 1
    export_luns "$name" || return 1
    # By hand: `login` looks for the disk where dev() does not.
    discover && bounded 60 iscsiadm -m node -T "$IQN" -p "$PORTAL" --login >&9 2>&1 &&
        wait_for 30 "the disk of $name" test -b "$(by_path 0)" && bounded 30 udevadm settle --timeout=20 || return 1
    lun_disk[number]=$(readlink -e "$(by_path 0)")
}
opened() { (($(said_times "$1: open: ") >= 1)); }
session_of() { grep -l -x "iqn.2026-01.org.ballast:$1" /sys/class/iscsi_session/session*/targetname | sed 's/.*session\([0-9]*\)\/.*/\1/'; }

# ---- the stores freeze ----------------------------------------------------------------------------

trace_begin() {
    mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
    mkdir -p $tracing && echo 1 > $tracing/events/block/block_rq_error/enable && echo 1 > $tracing/tracing_on
}

freeze_part() {
    local n name names=() lock locks=()
    fresh_daemon
    modprobe target_core_iblock
    for n in "${!rows[@]}"; do
        name=${rows[n]}
        names+=("$name")
        store_kind[$name]=tags_raw
        if ! make_tags_raw "$name" 200M || ! dm_disk "$name-fast" 300M ||
            ! make_row "$n" "$name" "$name" "${store_device[$name]}" "/dev/mapper/$name-fast"; then
            say "cannot make the LUN '$name': $(tail -n 3 "$DAEMON_LOG")"
            return 1
        fi
        load_blocks[n]=64
        say "  $name: logged in"
    done
    load_write "${!rows[@]}" || return 1
    # udev reads a disk after a writer has closed it, also where only the store has what is there. It leaves a
    # disk alone that somebody has locked.
    for n in "${!rows[@]}"; do exec {lock}< "${lun_disk[n]}" && flock "$lock" && locks+=("$lock"); done
    kernel_mark="lab: log-freeze begins"
    echo "$kernel_mark" > /dev/kmsg
    trace_begin
    watch_begin "${!rows[@]}"
    for n in "${!rows[@]}"; do
        meta "row $n ${rows[n]} $(basename "${lun_disk[n]}") $(session_of "${rows[n]}")"
        load_jobs "$n" $((before + seconds + after)) $rate $writers --fsync=16
        # Without the readers of what only the store has. (Without clat fio does not time flushes.)
        load_start "$n" "$n" --group_reporting --disable_clat=0 "${jobs[@]:0:$(first_reader)}"
    done
    for n in "${!rows[@]}"; do wait_for 60 "load on ${rows[n]}" load_runs "$n" || return 1; done
    sleep $before
    stores_freeze "${names[@]}" || return 1
    meta "frozen $EPOCHREALTIME"
    say "  frozen for $seconds s"
    sleep "$seconds"
    meta "thawed $EPOCHREALTIME"
    stores_thaw
    say "  thawed"
    for n in "${!rows[@]}"; do
        load_end "$n" 240
        meta "fio $n $?"
        say "  ${rows[n]}: the load has ended"
    done
    for n in "${!rows[@]}"; do
        load_check "$n"
        meta "check $n $?"
    done
    say "  read back"
    for lock in "${locks[@]}"; do exec {lock}<&-; done
    watch_end
    cp $tracing/trace "$TEST_DIR/trace"
    kernel_since > "$TEST_DIR/kernel.log"
}
first_reader() {
    local n
    for n in "${!jobs[@]}"; do [[ ${jobs[n]} != --name=read-* ]] || { echo "$n"; return; }; done
}

# ---- the caches are lost -------------------------------------------------------------------------

# cut_off NAME...: from now on every request to these disks fails. All at once.
cut_off() {
    local name
    for name in "$@"; do
        dmsetup suspend --noflush --nolockfs "$name" 3>&- && dmsetup load "$name" --table "0 $(sectors "/dev/mapper/$name") error"
    done
    for name in "$@"; do dmsetup resume --noudevsync "$name"; done
}

cut_part() {
    local kinds=(log writecache bcache) n kind writer=() fast=() offset
    # So small that what is written fills it up to the mark from which it is written back.
    local -A size=([log]=300M [writecache]=8M [bcache]=80M)
    lun_disk=()
    for n in "${!kinds[@]}"; do
        kind=${kinds[n]} fast+=("cut-${kinds[n]}-fast")
        if ! dm_disk "cut-$kind" 200M || ! dm_disk "cut-$kind-fast" "${size[$kind]}" ||
            ! make_row $((n + 10)) "$kind" "cut-$kind" "/dev/mapper/cut-$kind" "/dev/mapper/cut-$kind-fast"; then
            say "cannot make the LUN '$kind': $(tail -n 3 "$DAEMON_LOG")"
            return 1
        fi
        say "  $kind: logged in"
    done
    for n in "${!kinds[@]}"; do
        setsid python3 "$here/pattern.py" write "${lun_disk[n + 10]}" "$TEST_DIR/written-${kinds[n]}" 3>&- 2>&9 < /dev/null &
        writer+=($!)
    done
    sleep "$cut"
    for n in "${!kinds[@]}"; do gone "${writer[n]}" && { say "the writer of '${kinds[n]}' has ended too early"; return 1; }; done
    say "  the caches are lost"
    cut_off "${fast[@]}"
    sleep 10
    for n in "${!kinds[@]}"; do
        kind=${kinds[n]} offset=0
        [[ $kind != bcache ]] || offset=8192 # where its superblock says that the data begins
        gone "${writer[n]}" || { kill -KILL "${writer[n]}"; disown "${writer[n]}"; } 2>&9
        bounded 60 python3 "$here/pattern.py" judge "/dev/mapper/cut-$kind" "$TEST_DIR/written-$kind" "$offset" \
            > "$TEST_DIR/judged-$kind"
    done
}

keep() {
    mkdir -p "$LAB_OUT/results" && cp "$TEST_DIR"/* "$DAEMON_LOG" "$LAB_OUT/results/"
    dmesg > "$LAB_OUT/results/dmesg.log"
}

# A function, so that bash has read all of it before it begins.
main() {
    freeze_part || say "the stores' part is not whole: $(tail -n 3 "$DAEMON_LOG")"
    keep
    python3 "$here/table.py" stores "$LAB_OUT/results"
    python3 "$here/picture.py" "$LAB_OUT/results" "$LAB_OUT/log-freeze.svg" || say "no picture"
    if ((cut > 0)); then
        clear_target
        cut_part || say "the caches' part is not whole: $(tail -n 3 "$DAEMON_LOG")"
        keep
        python3 "$here/table.py" caches "$LAB_OUT/results"
    fi
    # What hangs on a lost disk cannot be taken down, and this guest ends anyway.
    trap - EXIT
    exit 0
}
main
