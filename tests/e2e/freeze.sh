# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests in which the storage below a LUN freezes. Sourced instead of lib.sh.
#
# A disk that freezes is a device-mapper linear device: `dmsetup suspend --noflush --nolockfs` keeps
# every bio that comes and answers none, until it is resumed, which is what a SAN path, a RAID
# controller or a cluster that has stopped answering looks like from above. What waits then waits in
# the kernel and cannot be killed: so everything here is undone on every way out, the thaw first.
. "$(dirname "${BASH_SOURCE[0]}")/disk.sh"

declare -A dm_loop=() dm_file=()
load_pids=() load_from=() load_blocks=()
# Where the load reads blocks that it wrote before the test, each once: so that a target with a cache
# has to go to its disk for them.
COLD_MIB=32

# ---- disks that freeze --------------------------------------------------------------------------

# dm_disk NAME SIZE: /dev/mapper/NAME, over a loop device over a sparse file.
dm_disk() {
    local name=$1 size
    size=$(bytes_of "$2")
    dm_file[$name]=/srv/$name.dm
    rm -f "${dm_file[$name]}" && truncate -s "$size" "${dm_file[$name]}" &&
        dm_loop[$name]=$(losetup -f --show "${dm_file[$name]}") &&
        dmsetup create "$name" --table "0 $((size / 512)) linear ${dm_loop[$name]} 0" &&
        settle
}
dm_config() { echo "file=/dev/mapper/$1"; }
# All at once: one after the other, the first would count as stalled before the last is frozen.
freeze() { # NAME...
    local name pids=()
    for name in "$@"; do
        dmsetup suspend --noflush --nolockfs "$name" 3>&- &
        pids+=($!)
    done
    for name in "${pids[@]}"; do wait "$name" || return 1; done
    echo "lab: frozen: $*" > /dev/kmsg
}
# thaw: all of them, whatever their state, at once.
thaw() {
    local name pids=()
    echo "lab: thawed" > /dev/kmsg
    # Not in step with udev, which may be what waits for the disk.
    for name in "${!dm_loop[@]}"; do
        dmsetup resume --noudevsync "$name" 3>&- &
        pids+=($!)
    done 2>&9
    ((${#pids[@]} == 0)) || wait "${pids[@]}"
}
# Status 1 if one is still in use.
dm_remove() {
    local name status=0
    for name in "${!dm_loop[@]}"; do
        bounded 20 dmsetup remove --retry "$name" 2>&9 || status=1
        losetup -d "${dm_loop[$name]}" 2>&9
        rm -f "${dm_file[$name]}"
        ((status != 0)) || unset "dm_loop[$name]"
    done
    return $status
}

# shellcheck disable=SC2317 # called from lib.sh, and by tests
frozen_cleanup() {
    thaw
    watch_end > /dev/null
    load_kill
    clear_target
    dm_remove || note "a device-mapper disk is still in use"
}
test_cleanup() { frozen_cleanup; }

# ---- load ---------------------------------------------------------------------------------------

# load_fill LUN SECONDS RATE DEPTH: what load_begin with the same words reads has to be there.
load_fill() {
    load_blocks[$1]=$(($2 * $3 * $4))
    load_write "$1"
}
# load_write LUN...: in one fio for all of them, whose start costs seconds on a slow machine.
load_write() {
    load_whole write --do_verify=0 --output="$TEST_DIR/fill-$1.log" "$@" || return 1
    # udev looks at a disk that was written, and must not be caught at it by what comes next.
    settle
}
load_whole() { # RW OPTION OPTION LUN...: all blocks, hot and cold
    local lun jobs=()
    for lun in "${@:4}"; do
        jobs+=(--name="hot-$lun" --filename="$(dev "$lun")" --size=2m --name="cold-$lun" --filename="$(dev "$lun")"
            --offset="${COLD_MIB}m" --size="$((load_blocks[lun] * 4))k")
    done
    bounded 240 fio --rw="$1" "$2" "$3" --thread --ioengine=libaio --direct=1 --iodepth=8 --bs=64k --verify=crc32c \
        --verify_interval=4k --aux-path="$TEST_DIR" "${jobs[@]}"
}
# load_begin LUN SECONDS RATE DEPTH: fio in the background. DEPTH writers, each of which writes its own
# 32 blocks of 4 KiB again and again and reads them back (half of its requests), so that an old write
# that lands over a newer one is seen; and DEPTH readers of cold blocks. Each has one request at a
# time, RATE a second if it can, for SECONDS of not being held up: after a freeze they catch up.
# DEPTH 16 fills a LUN's queue of 32. (One job with 16 at once would not: before it pauses for its
# rate, fio waits for all that is in flight.) The process id is in load_pids[LUN], the logs are
# $TEST_DIR/load-LUN*.
load_begin() {
    load_jobs "$@"
    load_start "$1" "$1" --group_reporting "${jobs[@]}"
}
# load_jobs LUN SECONDS RATE DEPTH [OPTION...]: sets ${jobs[@]} to fio's; OPTION for the writers.
load_jobs() {
    local disk log=$TEST_DIR/load-$1 kib=$(($2 * $3 * 4))
    disk=$(dev "$1")
    load_from[$1]=$(answered_by "$1")
    jobs=(--name="write-$1" --filename="$disk" --numjobs="$4" --rw=randwrite --size=128k --offset_increment=128k
        --io_size="${kib}k" --verify_backlog=8 --rate_iops="$(($3 / 2)),$(($3 / 2))" --write_lat_log="$log-write" "${@:5}"
        --name="read-$1" --filename="$disk" --numjobs="$4" --rw=randread --offset="${COLD_MIB}m" --size="${kib}k"
        --offset_increment="${kib}k" --rate_iops="$3" --write_lat_log="$log-read")
}
load_start() { # INDEX-OF-PID NAME OPTION...
    local log=$TEST_DIR/load-$2
    # In a session of its own only we end it.
    setsid fio --ioengine=psync --direct=1 --bs=4k --thread --verify=crc32c --verify_fatal=1 --randrepeat=0 \
        --log_unix_epoch=1 --aux-path="$TEST_DIR" --output-format=json --output="$log.json" --disable_clat=1 \
        --disable_slat=1 "${@:3}" 3>&- >&9 2> "$log.err" < /dev/null &
    load_pids[$1]=$!
}
# load_runs LUN: it has been answered for what it sent.
load_runs() { (($(answered_by "$1") > load_from[$1] + 100)); }
answered_by() { awk '{print $1 + $5}' "/sys/block/$(basename "$(dev "$1")")/stat"; }
# load_end LUN SECONDS: its exit status (124: it had to be ended).
load_end() {
    if ! wait_for "$2" "the end of the load on LUN $1" gone "${load_pids[$1]}"; then
        # It writes its logs when it is asked to end.
        kill -INT "${load_pids[$1]}"
        wait_for 20 "fio's end" gone "${load_pids[$1]}" || kill -KILL -- "-${load_pids[$1]}"
        unset "load_pids[$1]"
        return 124
    fi
    wait "${load_pids[$1]}"
    local status=$?
    unset "load_pids[$1]"
    return $status
}
load_kill() {
    local pid
    for pid in "${load_pids[@]}"; do
        gone "$pid" || kill -KILL -- "-$pid" 2>&9
        disown "$pid" 2>&9
    done
    load_pids=()
}
# load_check LUN...: each block carries its own checksum, hot and cold ones.
load_check() {
    load_whole read --do_verify=1 --output="$TEST_DIR/check-$1.log" "$@" 2> "$TEST_DIR/check-$1.err"
}
# load_gap LUN FROM TO: the longest time without an answer, in ms; the times as $EPOCHREALTIME.
# load_worst LUN FROM TO: the longest latency of what was answered then, in ms.
load_gap() { load_log "$1" | answers "$2" "$3" gap; }
load_worst() { load_log "$1" | answers "$2" "$3" worst; }
# load_last LUN THAW: how long after the thaw the last of what was sent before it was answered, in ms.
load_last() {
    load_log "$1" | awk -F, -v thaw="${2/./}" '
        BEGIN { thaw = int(thaw / 1000) }
        $1 > thaw && $1 - $2 / 1e6 < thaw { last = $1 - thaw }
        END { print int(last) }'
}
load_log() { sort -t, -n -k1,1 "$TEST_DIR/load-$1"-*_lat.*.log; }
answers() {
    awk -F, -v from="${1/./}" -v to="${2/./}" -v what="$3" '
        BEGIN { from = last = int(from / 1000); to = int(to / 1000) }
        $1 >= from && $1 <= to {
            if ($1 - last > gap) gap = $1 - last
            last = $1
            if ($2 / 1e6 > worst) worst = $2 / 1e6
        }
        END { if (to - last > gap) gap = to - last; print int(what == "gap" ? gap : worst) }'
}

# ---- looking on ---------------------------------------------------------------------------------

# watch_begin LUN...: notes, once a second, threads in D state, and the state and depth of the disks.
# With WATCH_PHASE, a file, it also says on standard output how things stand. watch_end: ends it.
watch_begin() {
    local lun disks=()
    for lun in "$@"; do disks+=("$(basename "$(dev "$lun")")"); done
    python3 "$LAB_SRC/tests/e2e/tools/watch-freeze.py" ${WATCH_PHASE:+--say "$WATCH_PHASE"} "$TEST_DIR/samples" \
        "${disks[@]}" 3>&- 2>&9 < /dev/null &
    watch_pid=$!
}
watch_end() {
    [[ -n ${watch_pid-} ]] || return 0
    kill "$watch_pid" 2>&9
    wait "$watch_pid"
    watch_pid=
}
# stuck [SECONDS]: threads of the target and the initiator that sat in D state, in one place, for longer
# than 2 s. (A loop device that is written to throttles its writers for a moment, which is no wedge.)
stuck() {
    awk -F'\t' -v most="${1:-2}" '$2 == "D" && $6 == "iscsi" { seen[$3 "\t" $4 "\t" $5]++ }
        END { for (key in seen) if (seen[key] > most) print key "\t" seen[key] " s" }' "$TEST_DIR/samples"
}
# disk_states: the states that disks had, other than running.
disk_states() { awk -F'\t' '$2 == "state" && $4 != "running"' "$TEST_DIR/samples"; }
depth_of() { cat "/sys/block/$(basename "$(dev "$1")")/device/queue_depth"; }

# ---- what most of these tests begin and end with ---------------------------------------------------

# frozen_luns COUNT KEYS: LUNs 0 to COUNT-1 on disks that will freeze, one more on one that will not,
# each with KEYS ("deadline=7s;slow=3s") in its configuration; logged in. Sets $healthy and
# ${freezing[@]}, the disks.
# shellcheck disable=SC2034
frozen_luns() {
    local n
    freezing=()
    healthy=$1
    fresh_daemon
    for ((n = 0; n <= healthy; n++)); do
        # Room to grow into.
        dm_disk "dm$n" 160M && make_lun "dm$n" 128M "$(dm_config "dm$n");$2" || return 1
        ((n == healthy)) || freezing+=("dm$n")
    done
    export_luns && login
}

# unharmed [SECONDS]: what holds for every freeze that Ballast is under, 5 assertions. No thread may be
# stuck for longer than SECONDS (2).
unharmed() {
    local said
    said=$(kernel_since)
    unlike "$said" 'detected conn error' "no connection error"
    unlike "$said" 'I/O error|[Dd]evice offlined|[Bb]uffer I/O' "no I/O error, no disk offlined"
    is "$(disk_states)" "" "every disk was running at all times"
    is "$(stuck "${1:-2}")" "" "no thread of target or initiator was stuck"
    is "$(kernel_complaints)" "" "the kernel has nothing to complain of"
}
# took SECONDS COMMAND...: bounded, and sets $status and $seconds.
# shellcheck disable=SC2034
took() {
    local begin=$EPOCHREALTIME
    status=0
    bounded "$@" >&9 2>&1 || status=$?
    seconds=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000000))
}
# slowest_read LUN: reads a block of it twice a second for eight seconds, and prints how many ms the slowest took.
slowest_read() {
    local n
    for ((n = 0; n < 16; n++)); do
        # dd's own clock starts when it has opened the disk. One that does not come back counts as slow.
        LC_ALL=C bounded 20 dd if="$(dev "$1")" of=/dev/null bs=4k count=1 skip=$n iflag=direct 2>&1 || echo "0, 20 s,"
        sleep 0.5
    done | sed -nE 's/.*, ([0-9.e-]+) s,.*/\1/p' | awk '$1 > slowest { slowest = $1 } END { print int(slowest * 1000) }'
}
# counted LUN-NAME COUNTER: what ballastctl says of it; needs bus_policy.
counted() { "$LAB_BUILD/ballastctl" stats "$1" --json | jq -r ".luns[0].counters.$2"; }
# said_times REGEX: lines of the daemon's log.
said_times() { grep -cE -- "$1" "$DAEMON_LOG"; }
