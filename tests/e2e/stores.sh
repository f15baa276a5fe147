# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Stores of many kinds, each of which can freeze: what has LUNs in the world. Sourced instead of
# freeze.sh, whose disk (device-mapper over a loop device) is below most of them.
#
#   tags_ext4 tags_xfs   files on a loop device with few tags (as a SATA disk has): when they are used
#                        up, who submits to a file sleeps, whatever it asked for
#   tags_raw             that loop device itself
#
# A row of the matrix is one call of freeze_stores: LUNs on these stores and a healthy one in one
# session, all under load that verifies; the stores freeze, and thaw.
. "$(dirname "${BASH_SOURCE[0]}")/freeze.sh"

# Of each store: its kind, its loop device if it has one of its own, where its file system is.
declare -A store_kind=() store_loop=() store_mount=()
# The store of each LUN but the last, which is the healthy one's.
lun_store=()
TAGS=${TAGS:-31}
rows=0

# ---- one store ----------------------------------------------------------------------------------

# store_make KIND NAME: it exists, and store_path says where.
store_make() {
    store_kind[$2]=$1
    "make_$1" "$2"
}
# store_path NAME N: what its Nth LUN is on.
store_path() {
    if [[ -n ${store_mount[$1]-} ]]; then
        echo "${store_mount[$1]}/$2.raw"
    else
        echo "${store_loop[$1]:-/dev/mapper/$1}"
    fi
}
make_dm() { dm_disk "$1" 160M; }
make_tags_raw() { # NAME [SIZE]
    dm_disk "$1" "${2:-160M}" && store_loop[$1]=$(losetup -f --show --direct-io=on "/dev/mapper/$1") &&
        echo "$TAGS" > "/sys/block/${store_loop[$1]##*/}/queue/nr_requests"
}
make_tags_ext4() { make_tags_raw "$1" 400M && on_mount "$1" mkfs.ext4 -q; }
make_tags_xfs() { make_tags_raw "$1" 400M && on_mount "$1" mkfs.xfs -q; }
on_mount() { # NAME MKFS...
    local name=$1 device=${store_loop[$1]:-/dev/mapper/$1}
    shift
    bounded 60 "$@" "$device" && mkdir -p "/mnt/$name" && mount "$device" "/mnt/$name" && store_mount[$name]=/mnt/$name
}

# All at once: see freeze.
stores_freeze() { freeze "$@"; }
stores_thaw() { thaw; }
stores_remove() {
    local name status=0
    for name in "${store_mount[@]}"; do bounded 60 umount "$name" || status=1; done
    for name in "${store_loop[@]}"; do losetup -d "$name" 2>&9; done
    store_mount=() store_loop=() store_kind=()
    dm_remove || status=1
    return $status
}

test_cleanup() {
    stores_thaw
    watch_end > /dev/null
    load_kill
    threads_end
    clear_target
    stores_remove || note "a store is still in use"
}

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

# ---- a row --------------------------------------------------------------------------------------

# stores_up KEYS STORE...: STORE is KIND or KIND*COUNT, for so many LUNs on it. Sets $healthy.
stores_up() {
    local keys=${1:+;$1} store kind n count name=0
    shift
    lun_store=()
    fresh_daemon
    for store in "$@"; do
        kind=${store%\**}
        count=${store#"$kind"}
        count=${count#\*}
        name=$((name + 1))
        store_make "$kind" "s$name" || return 1
        for ((n = 0; n < ${count:-1}; n++)); do
            make_lun "s$name-$n" 128M "file=$(store_path "s$name" $n)$keys" || return 1
            lun_store+=("s$name")
        done
    done
    healthy=${#lun_store[@]}
    store_kind[healthy]=dm
    dm_disk healthy 160M && make_lun healthy 128M "$(dm_config healthy)$keys" && export_luns && login
}
each_lun() { # COMMAND...: with each LUN's number after it
    local n
    for ((n = 0; n <= healthy; n++)); do "$@" "$n" || return 1; done
}
frozen_lun_load=(20 4 16)
healthy_lun_load=(30 12 4)
fill_lun() {
    if (($1 == healthy)); then load_fill "$1" "${healthy_lun_load[@]}"; else load_fill "$1" "${frozen_lun_load[@]}"; fi
}
begin_lun() {
    if (($1 == healthy)); then load_begin "$1" "${healthy_lun_load[@]}"; else load_begin "$1" "${frozen_lun_load[@]}"; fi
}
runs_lun() { wait_for 40 "load on LUN $1" load_runs "$1"; }

# freeze_stores SECONDS KEYS STORE...: the row, $ROW_ASSERTIONS assertions.
# shellcheck disable=SC2034
ROW_ASSERTIONS=16
freeze_stores() {
    local seconds=$1 keys=$2 row=${*:3} n status late gap worst=0
    shift 2
    healthy_lun_load=($((30 + seconds)) 12 4)
    rows=$((rows + 1))
    local TEST_DIR=$TEST_DIR/row$rows
    mkdir -p "$TEST_DIR"
    kernel_mark="lab: row $rows of $TEST_NAME"
    echo "$kernel_mark" > /dev/kmsg
    note "---- $row, frozen for $seconds s${keys:+ with $keys}"
    ok "$row: LUNs on it and a healthy one are logged in" stores_up "$keys" "$@"
    ok "$row: filled" each_lun fill_lun
    sync
    watch_begin $(seq 0 "$healthy")
    threads_begin
    each_lun begin_lun
    ok "$row: under load" each_lun runs_lun
    sleep 3
    ok "$row: freezes" stores_freeze $(printf '%s\n' "${lun_store[@]}" | sort -u)
    local frozen_at=$EPOCHREALTIME
    sleep "$seconds"
    local thawed_at=$EPOCHREALTIME
    stores_thaw
    status=''
    for ((n = 0; n < healthy; n++)); do load_end "$n" 60 || status+=" LUN $n: $?"; done
    is "$status" "" "$row: the load on what froze ends well"
    ok "$row: so does the load on the healthy LUN" load_end "$healthy" $((60 + seconds))
    watch_end
    threads_end
    unharmed
    is "$(grep -h . "$TEST_DIR"/load-*.err)" "" "$row: fio found every block as it was written"
    ok "$row: and so it is once more" each_lun load_check
    gap=$(load_gap "$healthy" "$frozen_at" "$thawed_at")
    for ((n = 0; n < healthy; n++)); do
        late=$(load_late "$n" "$thawed_at")
        ((late < worst)) || worst=$late
    done
    note "healthy LUN: longest gap $gap ms; last of what waited: $worst ms after the thaw"
    note "$(awk -F'\t' '{ print $3 ": " $5 " slept " $2 " s in " $6 }' "$TEST_DIR/threads")"
    ok "$row: the healthy LUN was always answered" test "$gap" -lt 3500
    is "$(threads_stuck)" "" "$row: no thread of the daemon slept that must not"
    load_kill
    cp "$DAEMON_LOG" "$TEST_DIR/"
    kernel_since > "$TEST_DIR/kernel.log"
    clear_target
    ok "$row: all is let go" stores_remove
}
# load_late LUN TIME: how long after TIME, in ms, the last was answered of what had been sent before.
load_late() {
    load_log "$1" | awk -F, -v at="${2/./}" '
        BEGIN { at = int(at / 1000) }
        $1 > at && $1 - $2 / 1e6 <= at && $1 - at > late { late = $1 - at }
        END { print int(late) }'
}
