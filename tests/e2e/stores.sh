# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Stores of many kinds, each of which can freeze, and a row of the matrix of freezes: LUNs on such
# stores and a healthy one in one session, under load that verifies. Sourced instead of freeze.sh,
# whose disk (device-mapper over a loop device) is below most of them.
#
#   dm           that disk; flush: the same, under load that flushes
#   tags_raw     a loop device with few tags (a SATA disk has 32) on it. When they are used up, who
#                submits sleeps
#   tags_ext4    files there: iomap sleeps whatever it was asked for; tags_xfs: the same
#   file         a file on ext4; buffered: with cache=buffered
#   sparse       a file whose blocks are allocated during the freeze
#   fsfreeze     a file; it is its file system that freezes
#   fuse         a file of a FUSE server (tools/hangfs.cpp) that keeps reads, writes, fsyncs
#   fuse_stop    the same, whose process is stopped
#   nbd          the kernel's NBD device, whose server is stopped
#   nbd_export   no device: the LUN is an export of that server (nbd=)
#   thin         a thin volume, whose pool is out of space until it is given some
#   rbd_stop …   an image in Ceph, which has the trouble that ceph.sh lists
#
#   freeze_stores SECONDS KEYS STORE...   a whole row, of $ROW_ASSERTIONS assertions
#   row_begin, row_frozen, row_end        its parts, for tests that do something in the middle
. "$(dirname "${BASH_SOURCE[0]}")/freeze.sh"
. "$(dirname "${BASH_SOURCE[0]}")/ceph.sh"

# Of each store: its kind, its loop or nbd device if it has one, where its file system is, its server.
declare -A store_kind=() store_device=() store_mount=() store_server=()
# Of each LUN: its store. The last is the healthy one's.
lun_store=()
# How many requests a loop device takes, and SECONDS RATE DEPTH (see load_begin) of what freezes.
TAGS=6
FROZEN_LOAD=($((20 + 5 * ${LAB_SLOW:-1})) 2 4)
rows=0

# ---- making them ---------------------------------------------------------------------------------

make_dm() { dm_disk "$1" "${2:-200M}"; }
make_flush() { make_dm "$1"; }
make_tags_raw() {
    make_dm "$1" "${2:-}" && store_device[$1]=$(losetup -f --show --direct-io=on "/dev/mapper/$1") &&
        echo "$TAGS" > "/sys/block/${store_device[$1]##*/}/queue/nr_requests"
}
make_tags_ext4() { make_tags_raw "$1" 400M && file_system "$1" mkfs.ext4 -q; }
make_tags_xfs() { make_tags_raw "$1" 400M && file_system "$1" mkfs.xfs -q; }
make_file() { make_dm "$1" && file_system "$1" mkfs.ext4 -q; }
make_buffered() { make_file "$1"; }
make_sparse() { make_file "$1"; }
make_fsfreeze() { make_file "$1"; }
file_system() { # NAME MKFS...
    local name=$1 device=${store_device[$1]:-/dev/mapper/$1}
    shift
    bounded 60 "$@" "$device" && mkdir -p "/mnt/$name" && mount "$device" "/mnt/$name" && store_mount[$name]=/mnt/$name
}
make_fuse() {
    modprobe fuse && mkdir -p "/mnt/$1" && : > "/run/$1.rules" && truncate -s 128M "/srv/$1.img" || return 1
    serve "$1" "$TOOLS/hangfs" "/mnt/$1" "/srv/$1.img" "/run/$1.rules"
    wait_for 20 "hangfs" mountpoint "/mnt/$1" && store_mount[$1]=/mnt/$1
}
make_fuse_stop() { make_fuse "$1"; }
make_nbd_export() {
    rm -f "/run/$1.sock" && truncate -s 200M "/srv/$1.img" || return 1
    serve "$1" nbdkit -f -U "/run/$1.sock" file "/srv/$1.img"
    wait_for 20 "nbdkit" test -S "/run/$1.sock"
}
make_nbd() {
    modprobe nbd && make_nbd_export "$1" && bounded 20 nbd-client -unix "/run/$1.sock" /dev/nbd0 >&9 2>&1 &&
        store_device[$1]=/dev/nbd0
}
# A pool of 48 MiB on a disk that is bigger, a volume of 160 MiB, and another that takes the rest.
thin_pool() { echo "0 $(($2 * 2048)) thin-pool /dev/mapper/$1-meta /dev/mapper/$1-data 128 0 1 skip_block_zeroing"; }
make_thin() {
    modprobe dm-thin-pool && make_dm "$1-meta" 8M && make_dm "$1-data" || return 1
    # It is frozen for longer than a pool waits.
    echo 0 > /sys/module/dm_thin_pool/parameters/no_space_timeout
    dmsetup create "$1-pool" --table "$(thin_pool "$1" 48)" &&
        dmsetup message "$1-pool" 0 create_thin 0 && dmsetup message "$1-pool" 0 create_thin 1 &&
        dmsetup create "$1" --table "0 327680 thin /dev/mapper/$1-pool 0" &&
        dmsetup create "$1-other" --table "0 327680 thin /dev/mapper/$1-pool 1" && settle
}
serve() { # NAME COMMAND...: in a session of its own only we end it
    setsid "${@:2}" 3>&- >&9 2>&1 < /dev/null &
    store_server[$1]=$!
}

# store_path NAME N: what its Nth LUN is on; store_config: the same, as a configuration string has it.
store_path() {
    if [[ -n ${store_mount[$1]-} ]]; then
        echo "${store_mount[$1]}/$2.raw"
    else
        echo "${store_device[$1]:-/dev/mapper/$1}"
    fi
}
store_config() {
    case ${store_kind[$1]} in
        nbd_export) echo "nbd=/run/$1.sock" ;;
        rbd*) echo "rbd=$(ceph_pool "${store_kind[$1]}")/$1-$2;conf=$CEPH_CONF" ;;
        *) echo "file=$(store_path "$@")" ;;
    esac
}

# ---- freezing them -------------------------------------------------------------------------------

# Side by side: what is frozen first would count as stalled before the last is frozen.
stores_freeze() { # NAME...
    local name disks=() pids=() pid status=0
    for name in "$@"; do
        case ${store_kind[$name]} in
            fsfreeze) fsfreeze -f "${store_mount[$name]}" 3>&- & pids+=($!) ;;
            fuse) echo read=hang write=hang fsync=hang > "/run/$name.rules" && kill -HUP "${store_server[$name]}" || status=1 ;;
            fuse_stop | nbd | nbd_export) kill -STOP "${store_server[$name]}" || status=1 ;;
            thin) thin_fill "$name" 3>&- & pids+=($!) ;;
            rbd_*) ceph_trouble "${store_kind[$name]}" || status=1 ;;
            *) disks+=("$name") ;;
        esac
    done
    ((${#disks[@]} == 0)) || freeze "${disks[@]}" || status=1
    for pid in "${pids[@]}"; do wait "$pid" || status=1; done
    ((${#disks[@]} > 0)) || echo "lab: frozen: $*" > /dev/kmsg
    return $status
}
# The other volume takes what the pool has, and ends when the pool has more. The load takes some as well,
# so nobody can say beforehand how much that is.
thin_fill() { # NAME
    setsid dd if=/dev/zero of="/dev/mapper/$1-other" bs=64k count=$((48 * 16)) oflag=direct status=none 3>&- 2>&9 &
    wait_for 30 "a pool without space" thin_is_full "$1"
}
thin_is_full() { dmsetup status --noflush "$1-pool" | grep -q out_of_data_space; }
stores_thaw() { # whatever their state
    local name
    for name in "${!store_kind[@]}"; do
        case ${store_kind[$name]} in
            fsfreeze) fsfreeze -u "${store_mount[$name]}" ;;
            fuse) : > "/run/$name.rules" && kill -HUP "${store_server[$name]}" ;;
            fuse_stop | nbd | nbd_export) kill -CONT "${store_server[$name]}" ;;
            thin)
                dmsetup suspend --noflush "$name-pool" && dmsetup load "$name-pool" --table "$(thin_pool "$name" 160)"
                dmsetup resume --noudevsync "$name-pool" ;;
        esac
    done 2>&9
    ceph_well
    thaw
}

# ---- removing them -------------------------------------------------------------------------------

stores_remove() {
    local name disk status=0
    for name in "${!store_mount[@]}"; do
        unmount "${store_mount[$name]}" || status=1
    done
    for name in "${store_device[@]}"; do
        if [[ $name == /dev/nbd* ]]; then bounded 20 nbd-client -d "$name" >&9 2>&1; else losetup -d "$name"; fi || status=1
    done
    for name in "${!store_kind[@]}"; do
        [[ ${store_kind[$name]} == thin ]] || continue
        for disk in "$name" "$name-other" "$name-pool"; do bounded 20 dmsetup remove --retry "$disk" || status=1; done
    done 2>&9
    for name in "${!store_server[@]}"; do
        gone "${store_server[$name]}" || { kill "${store_server[$name]}" && wait "${store_server[$name]}"; }
        rm -f "/srv/$name.img"
    done 2>&9
    store_mount=() store_device=() store_server=() store_kind=()
    dm_remove || status=1
    ceph_down
    return $status
}

stores_cleanup() {
    stores_thaw
    watch_end > /dev/null
    threads_end
    load_kill
    clear_target
    stores_remove || note "a store is still in use"
}
test_cleanup() { stores_cleanup; }

# ---- the daemon's threads -----------------------------------------------------------------------

threads_begin() {
    python3 "$LAB_SRC/tests/e2e/tools/watch-threads.py" "$TEST_DIR/threads" 3>&- 2>&9 < /dev/null &
    threads_pid=$!
}
threads_end() {
    [[ -n ${threads_pid-} ]] || return 0
    kill "$threads_pid" 2>&9
    wait "$threads_pid"
    threads_pid=
}
# Those that slept and must not: thread, for how long, where.
threads_stuck() { awk -F'\t' '$3 == "stuck" { print $5 " slept " $2 " s in " $6 }' "$TEST_DIR/threads" | sort -u; }
threads_designated() { awk -F'\t' '$3 == "designated" { print $5 " slept, as it may" }' "$TEST_DIR/threads" | sort | uniq -c; }

# ---- a row --------------------------------------------------------------------------------------

# stores_up KEYS STORE...: STORE is KIND or KIND*COUNT, for so many LUNs on one store. Sets $healthy.
stores_up() {
    local keys=${1:+;$1} store kind n count name=0
    shift
    lun_store=()
    for store in "$@"; do
        name=$((name + 1))
        store_kind[s$name]=${store%\**}
        "make_${store%\**}" "s$name" || return 1
    done
    fresh_daemon
    name=0
    for store in "$@"; do
        name=$((name + 1))
        kind=${store_kind[s$name]}
        count=${store#"$kind"}
        count=${count#\*}
        for ((n = 0; n < ${count:-1}; n++)); do
            make_lun "s$name-$n" 128M "$(store_config "s$name" $n)$keys$(keys_of "$kind")" || return 1
            note "LUN ${#lun_store[@]}: $kind"
            lun_store+=("s$name")
        done
    done
    healthy=${#lun_store[@]}
    store_kind[healthy]=$(healthy_kind "$@")
    "make_${store_kind[healthy]}" healthy && make_lun healthy 128M "$(store_config healthy 0)$keys" && lun_store+=(healthy) &&
        export_luns && login || return 1
    # What else a test wants to be there.
    ! declare -F stores_more > /dev/null || stores_more
}
# Beside an image it is an image as well, if its OSD is another one.
healthy_kind() { if [[ $1 == rbd_* ]] && ((CEPH_OSDS > 1)); then echo rbd; else echo dm; fi; }
keys_of() { [[ $1 != buffered ]] || echo ";cache=buffered"; }
each_lun() { # COMMAND...: with each LUN's number after it
    local n
    for ((n = 0; n <= healthy; n++)); do "$@" "$n" || return 1; done
}
load_of() { # LUN: SECONDS RATE DEPTH
    if (($1 == healthy)); then echo $((FROZEN_LOAD[0] + 10 + row_seconds)) 6 4; else echo "${FROZEN_LOAD[@]}"; fi
}
# Whose blocks are to be allocated in the freeze is not filled before, and reads what it wrote at its end.
is_fresh() { [[ ${store_kind[${lun_store[$1]}]} == @(sparse|thin) ]]; }
filled_luns() {
    local n
    for ((n = 0; n <= healthy; n++)); do is_fresh "$n" || echo "$n"; done
}
fill_all() {
    local n spec luns=()
    for n in $(filled_luns); do
        read -ra spec <<< "$(load_of "$n")"
        load_blocks[n]=$((spec[0] * spec[1] * spec[2]))
        luns+=("$n")
    done
    load_write "${luns[@]}"
}
check_all() {
    local luns
    mapfile -t luns < <(filled_luns)
    load_check "${luns[@]}"
}
# All of it in one fio: its start costs seconds on a slow machine.
begin_all() {
    local n jobs all=()
    for ((n = 0; n <= healthy; n++)); do
        # shellcheck disable=SC2046
        case ${store_kind[${lun_store[$n]}]} in
            sparse | thin) fresh_jobs "$n" $(load_of "$n") ;;
            flush) load_jobs "$n" $(load_of "$n") --fsync=2 ;;
            *) load_jobs "$n" $(load_of "$n") ;;
        esac
        all+=("${jobs[@]}")
    done
    load_start 0 all "${all[@]}"
}
fresh_jobs() { # LUN SECONDS RATE DEPTH: writers of blocks that nobody wrote before
    load_from[$1]=$(answered_by "$1")
    jobs=(--name="write-$1" --filename="$(dev "$1")" --numjobs="$4" --rw=randwrite --size=16m --offset_increment=16m
        --io_size="$(($2 * $3 * 4))k" --rate_iops=",$3" --write_lat_log="$TEST_DIR/load-$1-write")
}
all_run() { wait_for 60 "load on all LUNs" each_lun moves; }
moves() { (($(answered_by "$1") > load_from[$1] + 10)); }
# end_all SECONDS: its exit status, as load_end. failed_luns: those whose jobs had an error.
end_all() { load_end 0 "$1"; }
# (Not with jq, which takes half a minute for what so many jobs have to say; fio writes a line for each value.)
failed_luns() {
    awk '$1 == "\"jobname\"" { lun = $3; gsub(/[^0-9]/, "", lun) }
        $1 == "\"error\"" && $3 + 0 != 0 { print lun }' "$TEST_DIR/load-all.json" | sort -nu | paste -sd ' '
}

# row_begin SECONDS KEYS STORE...: 4 assertions; the stores are frozen then. Sets $frozen_at.
row_begin() {
    row_seconds=$1
    rows=$((rows + 1))
    TEST_DIR=$row_dir/row$rows
    mkdir -p "$TEST_DIR"
    kernel_mark="lab: row $rows of $TEST_NAME"
    echo "$kernel_mark" > /dev/kmsg
    note "---- ${*:3}, frozen for $1 s${2:+ with $2}"
    ok "LUNs on ${*:3}, and a healthy one" stores_up "${@:2}" || return 1
    ok "are filled" fill_all
    sync
    echo 3 > /proc/sys/vm/drop_caches
    watch_begin $(seq 0 "$healthy")
    threads_begin
    begin_all
    ok "are under load" all_run
    sleep 2
    # shellcheck disable=SC2046
    ok "the stores freeze" stores_freeze $(printf '%s\n' "${lun_store[@]:0:healthy}" | sort -u)
    frozen_at=$EPOCHREALTIME
}
row_dir=$TEST_DIR

# row_frozen: until it is over. Then the stores thaw, and the load ends.
row_frozen() {
    while ((${EPOCHREALTIME/./} - ${frozen_at/./} < row_seconds * 1000000)); do pause 0.2; done
    thawed_at=$EPOCHREALTIME
    stores_thaw
    end_all $((60 + row_seconds))
    watch_end
    threads_end
}
# load_well: what fio says of it, 2 assertions.
load_well() {
    is "$(failed_luns)" "" "the load on every LUN ended well"
    is "$(grep -h . "$TEST_DIR"/load-*.err)" "" "fio found every block as it was written"
}

# row_end: 13 assertions. row_right [SECONDS]: the first 8 (see unharmed); row_bounds: the next 4.
row_end() {
    row_right
    row_bounds
    row_over
    ok "all is let go" stores_remove
}
# shellcheck disable=SC2120 # tests give it
row_right() {
    load_well
    unharmed "${1:-2}"
    ok "all blocks are right" check_all
}
row_bounds() {
    local n gap late worst=0 idle=''
    gap=$(load_gap "$healthy" "$frozen_at" "$thawed_at")
    for ((n = 0; n < healthy; n++)); do
        late=$(load_last "$n" "$thawed_at")
        ((late > 0)) || idle+=" $n"
        ((late < worst)) || worst=$late
    done
    note "healthy LUN: longest gap $gap ms; last of what waited: $worst ms after the thaw"
    note "$(threads_designated)"
    is "$idle" "" "every LUN on a frozen store waited for the thaw"
    ok "the healthy LUN was always answered" test "$gap" -lt 6000
    ok "what waited is answered soon after the thaw" test "$worst" -lt $((5000 * ${LAB_SLOW:-1}))
    is "$(threads_stuck)" "" "no thread of the daemon slept that must not"
}
row_over() {
    load_kill
    cp "$DAEMON_LOG" "$TEST_DIR/"
    kernel_since > "$TEST_DIR/kernel.log"
    clear_target
}

# shellcheck disable=SC2034
ROW_ASSERTIONS=17
freeze_stores() {
    row_begin "$@" && row_frozen && row_end
    TEST_DIR=$row_dir
}
