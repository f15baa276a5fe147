# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Helpers of the guest tests. A test is a bash file tests/e2e/NN-name.t that
# sources this one; its standard output is TAP, read by prove, and each of its
# commands is traced in $TEST_DIR/trace.log. It runs as root in the lab guest
# (ci/lab run tests/e2e/NN-name.t) with `set -u` and without `set -e`.
#
#   #!/bin/bash
#   # timeout: 120                       seconds this test may take (default 300)
#   # cpus: 2                            it needs a guest with two (ci/e2e has guests with one)
#   . "$(dirname "$0")/lib.sh"
#   plan 2
#   fresh_daemon                         clean tcmu-runner with our plugin
#   make_lun vol0 1G file=/srv/vol0.raw  a backstore, by configfs (milliseconds)
#   export_luns                          an iSCSI target with an ACL, LUN 0, 1, ... in order
#   login                                waits for the disks; $DEV is LUN 0, "$(dev 1)" LUN 1
#   ok "writes" dd if=/dev/zero of="$DEV" bs=1M count=4 oflag=direct
#   is "$(blockdev --getsize64 "$DEV")" $((1 << 30)) "has its size"
#
# Teardown is automatic, on every way out: unmount, logout, remove all of LIO's
# configuration, and it fails the test if anything is left. Set-up goes by plain
# configfs writes because one targetcli process costs seconds under emulation;
# use `tcli` where what an operator types is the thing tested.
#
# What the environment may say: E2E_BACKSTORE, the backstore the LUNs use:
# ballast (default), any other tcmu-runner subtype that takes a file (qcow), or
# fileio, LIO's own: to see whether a test fails for us alone.

set -u
: "${LAB_SRC:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
: "${LAB_BUILD:=$LAB_SRC/build}"
: "${TEST_NAME:=$(basename "$0" .t)}"
: "${TEST_DIR:=$(mktemp -d "/tmp/$TEST_NAME.XXXXXX")}"
BACKSTORE=${E2E_BACKSTORE:-ballast}
PLUGIN_DIR=/usr/lib/x86_64-linux-gnu/tcmu-runner
PLUGIN=$LAB_BUILD/handler_ballast.so
DAEMON_LOG=/var/log/tcmu-runner.log
RECORDS=/var/lib/ballast/volumes
CONFIGFS=/sys/kernel/config/target
IQN=iqn.2026-01.org.ballast:lab
INITIATOR=$(sed -n 's/^InitiatorName=//p' /etc/iscsi/initiatorname.iscsi 2> /dev/null)
PORTAL=127.0.0.1:3260
MNT=/mnt/$TEST_NAME

exec 3>&1 9> "$TEST_DIR/trace.log"
# Nothing ever comes from here: reading it is a sleep that needs no process, which would cost the one
# emulated CPU more than what is waited for.
exec {never}<> <(:)
pause() { read -rt "$1" -u "$never" || true; }
BASH_XTRACEFD=9
PS4='+ ${EPOCHREALTIME} ${BASH_SOURCE##*/}:${LINENO}: '

# ---- TAP --------------------------------------------------------------------

tap_planned='' tap_run=0 tap_failed=0 tap_said=$(mktemp /run/tap.XXXXXX)

plan() { tap_planned=$1; echo "1..$1" >&3; }
done_testing() { plan "$tap_run"; }
skip_all() { echo "1..0 # SKIP $*" >&3; tap_planned=0; exit 0; }
bail() { echo "Bail out! $*" >&3; exit 255; }
note() { printf '%s\n' "$*" | sed 's/^/# /' >&3; }

# pass DESC / fail DESC [WHY...]
pass() { tap_run=$((tap_run + 1)); echo "ok $tap_run - $1" >&3; }
fail() {
    tap_run=$((tap_run + 1)) tap_failed=$((tap_failed + 1))
    echo "not ok $tap_run - $1" >&3
    shift
    (($#)) && note "$*"
    return 1
}
skip() { # COUNT REASON...
    local n=$1
    shift
    while ((n-- > 0)); do
        tap_run=$((tap_run + 1))
        echo "ok $tap_run # SKIP $*" >&3
    done
}

# A process costs tens of milliseconds under emulation, and most commands say nothing.
trace_said() { [[ ! -s $tap_said ]] || cat "$tap_said" >&9; }
# ok DESC COMMAND...: the command succeeds. Its output is in the trace, and shown if it fails.
ok() {
    local desc=$1 status=0
    shift
    # Not $(...): a helper called here may set variables.
    "$@" > "$tap_said" 2>&1 || status=$?
    trace_said
    if ((status == 0)); then pass "$desc"; else
        fail "$desc" "command: $*"$'\n'"status:  $status"$'\n'"output:  $(tail -n 12 "$tap_said")"
    fi
}
# not_ok DESC COMMAND...: the command fails.
not_ok() {
    local desc=$1 status=0
    shift
    "$@" > "$tap_said" 2>&1 || status=$?
    trace_said
    if ((status != 0)); then pass "$desc"; else fail "$desc" "succeeded, but must not: $*"; fi
}
is() { # GOT WANT DESC
    if [[ $1 == "$2" ]]; then pass "$3"; else fail "$3" "got:  $1"$'\n'"want: $2"; fi
}
isnt() { # GOT UNWANTED DESC
    if [[ $1 != "$2" ]]; then pass "$3"; else fail "$3" "must not be: $1"; fi
}
like() { # TEXT REGEX DESC
    if grep -qE -- "$2" <<< "$1"; then pass "$3"; else
        fail "$3" "no match for: $2"$'\n'"in: $(tail -n 12 <<< "$1")"
    fi
}
unlike() { # TEXT REGEX DESC
    if ! grep -qE -- "$2" <<< "$1"; then pass "$3"; else
        fail "$3" "must not match: $2"$'\n'"in: $(grep -E -- "$2" <<< "$1" | head -n 5)"
    fi
}

# ---- waiting ----------------------------------------------------------------

# wait_for SECONDS WHAT COMMAND...: polls until the command succeeds. Out of
# time is a diagnostic and status 1, never a hang. On a machine that booted
# slowly the seconds are longer (LAB_SLOW, set by the lab), and one that booted quickly may be slow
# later. It waits between two looks for as long as
# a look takes: one that starts a program would else take the CPU from what is waited for.
wait_for() {
    local limit=$(($1 * (${LAB_SLOW:-1} + 1))) what=$2 begin=$EPOCHREALTIME status=1 looked now us
    shift 2
    { local tracing=$-; set +x; } 2> /dev/null
    while :; do
        looked=$EPOCHREALTIME
        if "$@" > /dev/null 2>&1; then status=0; break; fi
        now=$EPOCHREALTIME
        if ((${now/./} - ${begin/./} > limit * 1000000)); then
            note "waited $limit s in vain for: $what"
            break
        fi
        us=$((${now/./} - ${looked/./}))
        ((us > 100000)) || us=100000
        printf -v us '%d.%06d' $((us / 1000000)) $((us % 1000000))
        pause "$us"
    done
    [[ $tracing == *x* ]] && set -x
    return "$status"
}

# bounded SECONDS COMMAND...: runs the command, but leaves it behind when it
# does not return. timeout(1) waits for a process in D state for ever; this does not.
bounded() {
    local limit=$1 pid
    shift
    # Without the explicit <&0 a job in the background reads /dev/null.
    "$@" <&0 3>&- &
    pid=$!
    if ! wait_for "$limit" "$*" gone "$pid"; then
        kill -KILL "$pid" 2> /dev/null
        wait_for 2 "the end of $1 after SIGKILL" gone "$pid" || {
            note "$1 is stuck: $(cat "/proc/$pid/wchan" 2> /dev/null)"
            note "$(cat "/proc/$pid/stack" 2> /dev/null)"
            disown "$pid"
        }
        return 124
    fi
    wait "$pid"
}
gone() { # PID: it has ended, even if nobody has waited for it
    local stat=''
    read -r stat 2> /dev/null < "/proc/$1/stat" || return 0
    [[ ${stat##*) } == Z* ]]
}

# Waits until udev has done what there was to do.
settle() { bounded 30 udevadm settle --timeout=$((20 * ${LAB_SLOW:-1})); }

# until_said COMMAND...: what it prints. If that is nothing, it is asked again, up to five times: a LUN may not answer
# within a second on a slow machine.
until_said() {
    local tries said
    for tries in 1 2 3 4 5; do
        said=$("$@")
        [[ -z $said ]] || break
    done
    echo "$said"
}

# ---- the daemon -------------------------------------------------------------

load_modules() {
    local module
    for module in target_core_user target_core_file iscsi_target_mod tcm_loop; do
        [[ -d /sys/module/$module ]] || modprobe "$module" || return 1
    done
}

install_plugin() {
    local installed=$PLUGIN_DIR/handler_ballast.so
    [[ -f $PLUGIN ]] || { note "no plugin at $PLUGIN"; return 1; }
    # An earlier test may have: the copy has the time of what was copied.
    [[ ! -f $installed || $installed -nt $PLUGIN || $installed -ot $PLUGIN ]] || return 0
    cp -p "$PLUGIN" "$PLUGIN_DIR/handler_ballast.so.new" &&
        mv "$PLUGIN_DIR/handler_ballast.so.new" "$PLUGIN_DIR/handler_ballast.so"
}

daemon_pid() { systemctl show -P MainPID tcmu-runner.service; }
daemon_gone() { ! systemctl -q is-active tcmu-runner.service; }
daemon_answers() {
    ! daemon_gone && busctl --system --timeout=5 call org.kernel.TCMUService1 / \
        org.freedesktop.DBus.Peer Ping > /dev/null 2>&1
}
daemon_ready() { busctl --system status org.kernel.TCMUService1; }

# fresh_daemon: nothing configured in LIO, an empty daemon log, tcmu-runner
# newly started, hardened, with the plugin out of the build. Bails out if that fails.
# E2E_LOG_LEVEL: 1 (errors) to 5 (every command); default 4.
fresh_daemon() {
    [[ -n $found_clean ]] || clear_target
    found_clean=
    load_modules || bail "the kernel modules do not load"
    bounded 30 systemctl stop tcmu-runner.service || bail "tcmu-runner does not stop"
    systemctl reset-failed tcmu-runner.service 2> /dev/null
    harden || bail "tcmu-runner is not hardened"
    # A daemon writes them until its last LUN is closed.
    [[ ! -d $RECORDS ]] || rm -rf "$RECORDS"
    mkdir -p /etc/tcmu
    printf 'log_level = %s\n' "${E2E_LOG_LEVEL:-4}" > /etc/tcmu/tcmu.conf
    [[ $BACKSTORE != ballast ]] || install_plugin || bail "no plugin: run make first"
    : > "$DAEMON_LOG"
    start_daemon || bail "tcmu-runner does not start: $(tail -n 5 "$DAEMON_LOG")"
}

# Whatever is tested, is tested with the daemon as it is installed: with what it may not do.
harden() {
    local there=/run/systemd/system/tcmu-runner.service.d
    [[ ! -d $there ]] || return 0
    install -D -m 0644 -t "$there" \
        "$LAB_SRC/targetcli-config/systemd/tcmu-runner.service.d/ballast-hardening.conf" && systemctl daemon-reload
}

start_daemon() {
    bounded 60 systemctl start tcmu-runner.service && wait_for 30 "tcmu-runner on the bus" daemon_ready
}

# The daemon's log has a line that matches (waits up to 10 s, or $2).
expect_log() { # REGEX [SECONDS]
    if wait_for "${2:-10}" "log line /$1/" grep -qE -- "$1" "$DAEMON_LOG"; then
        pass "the log says: $1"
    else
        fail "the log says: $1" "last lines: $(tail -n 5 "$DAEMON_LOG")"
    fi
}

# set_fault RULE: what the control file $FAULT has; comes back when it is in force.
set_fault() {
    local before
    before=$(rules_taken)
    echo "$1" > "$FAULT"
    wait_for 20 "the fault rule" more_rules_taken "$before"
}
rules_taken() { grep -c 'fault rules apply to' "$DAEMON_LOG"; }
more_rules_taken() { (($(rules_taken) > $1)); }

# ---- LUNs by configfs -------------------------------------------------------

declare -A lun_path=()
lun_names=()

bytes_of() { # 1G -> 1073741824
    numfmt --from=iec "${1%B}"
}

# make_lun NAME SIZE CONFIG [KEY=VALUE...]: a backstore of type $BACKSTORE.
# CONFIG as for the plugin ("file=/srv/a.raw", "null"). KEY: block_size,
# hw_max_sectors, max_data_area_mb, serial (all as configfs takes them).
# Status 1, with the kernel's or the daemon's reason in the trace, if it fails.
make_lun() {
    local name=$1 size config=$3 option hba dir file
    size=$(bytes_of "$2")
    shift 3
    file=${config#file[:=]}
    file=${file%%;*}
    # One HBA for each, as rtslib has it: its delete removes both.
    case $BACKSTORE in
        fileio) hba=fileio_${#lun_names[@]} ;;
        *) hba=user_${#lun_names[@]} ;;
    esac
    dir=$CONFIGFS/core/$hba/$name
    mkdir -p "$dir" || return 1
    if [[ $BACKSTORE == fileio ]]; then
        truncate -s "$size" "$file"
        echo "fd_dev_name=$file,fd_dev_size=$size,fd_buffered_io=1" > "$dir/control" || return 1
    else
        case $BACKSTORE in
            ballast) ;;
            rbd) config=${config#rbd=} ;; # tcmu-runner's own handler of images in Ceph
            *) truncate -s "$size" "$file" && config=$file ;;
        esac
        echo "dev_config=$BACKSTORE/$config" > "$dir/control" || return 1
        echo "dev_size=$size" > "$dir/control" || return 1
    fi
    for option in "$@"; do
        case $option in
            serial=*) ;;
            block_size=*)
                [[ $BACKSTORE == fileio ]] || echo "hw_block_size=${option#*=}" > "$dir/control" || return 1 ;;
            *=*) [[ $BACKSTORE == fileio ]] || echo "$option" > "$dir/control" || return 1 ;;
            *) bail "make_lun: what is '$option'?" ;;
        esac
    done
    serial_of "$name" "$@" > "$dir/wwn/vpd_unit_serial" || return 1
    if ! bounded 40 enable_lun "$dir"; then
        rmdir "$dir" "${dir%/*}"
        return 1
    fi
    lun_path[$name]=$dir
    lun_names+=("$name")
}
enable_lun() { echo 1 > "$1/enable"; }

# make_lio NAME HBA CONTROL: a backstore of LIO's own that make_lun does not know: ramdisk
# (rd_mcp_0), block (iblock_0; target_core_iblock is loaded).
make_lio() {
    local dir=$CONFIGFS/core/$2/$1
    mkdir -p "$dir" && echo "$3" > "$dir/control" &&
        serial_of "$1" > "$dir/wwn/vpd_unit_serial" && echo 1 > "$dir/enable" || return 1
    lun_path[$1]=$dir
    lun_names+=("$1")
}

# A stable serial of its own for each name: by-id links and multipath need one.
serial_of() {
    local name=$1 option
    shift
    for option in "$@"; do
        [[ $option == serial=* ]] && { echo "${option#serial=}"; return; }
    done
    md5sum <<< "$name" | sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/'
}

tpg() { echo "$CONFIGFS/iscsi/$IQN/tpgt_1"; }

# export_luns [NAME...]: an iSCSI target with these LUNs (default: all made so
# far), numbered from 0 in order. Only $INITIATOR may log in. CMDSN_DEPTH: the
# session's command window, 128 as README has it.
export_luns() {
    local tpg name
    tpg=$(tpg)
    (($#)) || set -- "${lun_names[@]}"
    mkdir -p "$CONFIGFS/iscsi" && mkdir -p "$tpg" || return 1
    # The ACL takes it over when it is made.
    echo "${CMDSN_DEPTH:-128}" > "$tpg/attrib/default_cmdsn_depth" || return 1
    mkdir -p "$tpg/np/$PORTAL" "$tpg/acls/$INITIATOR" || return 1
    echo 0 > "$tpg/attrib/authentication"
    echo 0 > "$tpg/attrib/generate_node_acls"
    for name in "$@"; do export_lun "$name" || return 1; done
    echo 1 > "$tpg/enable"
}

# export_lun NAME [NUMBER]: one more LUN; a session that is logged in sees it after `rescan`.
export_lun() {
    local tpg number=${2-} name=$1
    tpg=$(tpg)
    if [[ -z $number ]]; then
        number=0
        while [[ -d $tpg/lun/lun_$number ]]; do number=$((number + 1)); done
    fi
    mkdir "$tpg/lun/lun_$number" &&
        ln -s "${lun_path[$name]}" "$tpg/lun/lun_$number/backstore" &&
        mkdir "$tpg/acls/$INITIATOR/lun_$number" &&
        ln -s "$tpg/lun/lun_$number" "$tpg/acls/$INITIATOR/lun_$number/lun"
}

# loop_attach NAME...: backstores through tcm_loop too, LUN 0, 1, ... in order; LOOP_DEV is LUN 0's
# disk, "$(loop_dev 1)" LUN 1's. Over this fabric the initiator's own scatter-gather lists reach the
# target core.
LOOP_TPG=$CONFIGFS/loopback/naa.6001405ba11a5000/tpgt_1
loop_attach() {
    local name number=0
    mkdir -p "$LOOP_TPG" && echo naa.6001405ba11a5001 > "$LOOP_TPG/nexus" || return 1
    for name in "$@"; do
        mkdir "$LOOP_TPG/lun/lun_$number" && ln -s "${lun_path[$name]}" "$LOOP_TPG/lun/lun_$number/backstore" &&
            wait_for 20 "the loopback disk of LUN $number" loop_dev "$number" || return 1
        number=$((number + 1))
    done
    LOOP_DEV=$(loop_dev 0)
    settle
}
loop_dev() {
    local found
    found=$(compgen -G "/sys/class/scsi_device/$(< "$LOOP_TPG/address"):$1/device/block/*") && echo "/dev/${found##*/}"
}

# ---- targetcli --------------------------------------------------------------

# tcli: one targetcli process fed the script on standard input. Prints what it
# says. targetcli itself ends with 0 whatever its lines did, so status 1 here
# means that some line looks like an error.
tcli() {
    local said status=0
    said=$(bounded 120 targetcli 2>&1) || status=$?
    # Colour codes and the prompt are no use in a log.
    said=$(sed -E 's/\x1b\[[0-9;]*m//g' <<< "$said")
    printf '%s\n' "$said" | tee -a /dev/fd/9
    ! grep -qiE 'failed|error|invalid|no such|cannot|does not|not found|missing|unexpected' <<< "$said" || status=1
    return "$status"
}

# ---- the initiator ----------------------------------------------------------

by_path() { echo "/dev/disk/by-path/ip-$PORTAL-iscsi-${2:-$IQN}-lun-$1"; }

# dev N: the disk of LUN N (/dev/sdX), empty if there is none.
dev() { readlink -e "$(by_path "$1")"; }

# login [COUNT]: discovers, logs in, waits for COUNT disks (default: all LUNs
# exported). Sets DEV to LUN 0's. iscsid settings: iscsi_set before.
login() {
    local want=${1-} n luns
    if [[ -z $want ]]; then
        luns=("$(tpg)"/lun/lun_[0-9]*)
        want=${#luns[@]}
        [[ -d ${luns[0]} ]] || want=0
    fi
    iscsi_node_exists || discover || return 1
    bounded 60 iscsiadm -m node -T "$IQN" -p "$PORTAL" --login >&9 2>&1 || {
        note "iscsiadm --login failed"
        return 1
    }
    for ((n = 0; n < want; n++)); do
        wait_for 30 "disk of LUN $n" test -b "$(by_path "$n")" || return 1
    done
    settle
    ((want == 0)) || DEV=$(dev 0)
}
iscsi_node_exists() { iscsiadm -m node -T "$IQN" > /dev/null 2>&1; }
discover() { bounded 60 iscsiadm -m discovery -t sendtargets -p "$PORTAL" >&9 2>&1; }

# iscsi_set NAME VALUE: a setting of the node record, before login.
iscsi_set() {
    iscsi_node_exists || discover || return 1
    iscsiadm -m node -T "$IQN" -p "$PORTAL" --op update -n "$1" -v "$2"
}

# As make install does, so that ballastctl finds the daemon; before the daemon starts, because a name
# may be owned only once the bus has read who may.
bus_policy() {
    local policy=org.ballast.Ballast1.conf
    install -D -m 0644 "$LAB_SRC/targetcli-config/dbus/$policy" "/usr/share/dbus-1/system.d/$policy"
    busctl --system call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig >&9 2>&1
}

logout() {
    bounded "${1:-60}" iscsiadm -m node -T "$IQN" -p "$PORTAL" --logout >&9 2>&1 || return 1
    wait_for 20 "the disks to go" no_disks
}
no_disks() { ! compgen -G "/dev/disk/by-path/ip-*iscsi*" > /dev/null; }
logged_in() { iscsiadm -m session 2> /dev/null | grep -q "$IQN"; }
rescan() { bounded 60 iscsiadm -m session --rescan >&9 2>&1 && settle; }

# ---- the end ----------------------------------------------------------------

# clear_target: no mounts, no sessions, nothing in LIO's configfs.
clear_target() {
    local m
    # Without a daemon nothing answers, and a logout would wait for its cache flush.
    if compgen -G "$CONFIGFS/core/user_*/*/enable" > /dev/null && ! daemon_answers; then
        note "the daemon does not answer; starting it again to clean up"
        # It may be writing its core file: that is worth a moment.
        wait_for 20 "the end of the daemon" daemon_gone || systemctl kill -s KILL tcmu-runner.service
        start_daemon || true
    fi
    while read -r m; do bounded 60 umount "$m" || bounded 5 umount -l "$m"; done \
        < <(awk '$1 ~ "^/dev/sd" {print $2}' /proc/mounts | tac)
    if iscsiadm -m session > /dev/null 2>&1; then
        bounded 60 iscsiadm -m node -U all >&9 2>&1
    fi
    iscsiadm -m node -o delete >&9 2>&1
    rm -rf {/etc,/var/lib}/iscsi/{nodes,send_targets}/* /etc/rtslib-fb-target/saveconfig.json
    # Files come and go with the tests, under the same names.
    rm -rf "$RECORDS"
    [[ -d $CONFIGFS ]] || return 0
    bounded 90 remove_configfs
    lun_path=() lun_names=()
}

remove_configfs() {
    local t d
    for t in "$CONFIGFS"/*/*/tpgt_*; do
        [[ -d $t ]] || continue
        echo 0 > "$t/enable" 2> /dev/null
        for d in "$t"/acls/*/lun_*; do [[ -d $d ]] && { find "$d" -maxdepth 1 -type l -delete; rmdir "$d"; }; done
        for d in "$t"/acls/*; do [[ -d $d ]] && rmdir "$d"; done
        for d in "$t"/lun/lun_*; do [[ -d $d ]] && { find "$d" -maxdepth 1 -type l -delete; rmdir "$d"; }; done
        for d in "$t"/np/*; do [[ -d $d ]] && rmdir "$d"; done
        rmdir "$t"
    done
    for d in "$CONFIGFS"/iscsi/*; do
        [[ -d $d && ${d##*/} != discovery_auth ]] && rmdir "$d"
    done
    for d in "$CONFIGFS"/loopback/*; do [[ -d $d ]] && rmdir "$d"; done
    for d in "$CONFIGFS"/core/*_*/*; do
        [[ -d $d && ${d##*/} != alua ]] && rmdir "$d"
    done
    for d in "$CONFIGFS"/core/*_*; do [[ ${d##*/} != alua && -d $d ]] && rmdir "$d"; done
    true
}

# What is left in LIO, one path a line; empty when clean.
configfs_leftovers() {
    find "$CONFIGFS"/core -mindepth 1 -maxdepth 2 -type d ! -path "*/core/alua*" 2> /dev/null
    find "$CONFIGFS"/iscsi -mindepth 1 -maxdepth 1 -type d ! -name discovery_auth 2> /dev/null
}

# is_clean LEFTOVERS: nothing is left of what clear_target removes. found_clean: the test before
# has seen to it, so that this one need not again.
CLEAN=/run/lab/clean
is_clean() {
    [[ -z $1 ]] && ! compgen -G '/sys/class/iscsi_session/*' > /dev/null && ! grep -q '^/dev/sd' /proc/mounts
}
found_clean=
if [[ -s $CLEAN ]]; then
    found_clean=yes
    : > "$CLEAN"
fi

# One made on purpose is removed by its test.
crash_files() { compgen -G '/var/crash/core.*'; }
crashes_before=$(crash_files)

finish() {
    local status=$? left crashes
    { set +x; } 2> /dev/null
    trap - EXIT
    declare -F test_cleanup > /dev/null && test_cleanup
    if ((status == 0 || status == 1)) && [[ -n $tap_planned && $tap_planned != "$tap_run" ]]; then
        note "planned $tap_planned, ran $tap_run"
        status=1
    fi
    [[ -n $tap_planned ]] || { note "the test ended without a plan (last line: see trace.log)"; status=1; }
    ((tap_failed == 0)) || status=1
    crashes=$(crash_files)
    if [[ $crashes != "$crashes_before" ]]; then
        note "a program crashed:" "$crashes"
        status=1
    fi
    ((status == 0)) || save_evidence
    clear_target 2>&9
    left=$(configfs_leftovers)
    if [[ -n $left ]]; then
        note "teardown left behind:" "$left"
        ((status != 0)) || save_evidence
        status=1
    fi
    ! is_clean "$left" || echo yes 2>&9 > "$CLEAN"
    rm -f "$tap_said"
    # Tests come in any order, and several name a file vol0.raw. (Not where somebody keeps his own in /srv.)
    [[ -z ${IN_LAB-} ]] || rm -rf /srv/*
    exit "$status"
}

# A failing test leaves what one needs to see why.
save_evidence() {
    cp "$DAEMON_LOG" "$TEST_DIR/tcmu-runner.log" 2> /dev/null
    dmesg | sed -n "/lab: test $TEST_NAME begins/,\$p" > "$TEST_DIR/dmesg.log"
    { iscsiadm -m session -P 3; lsblk -O; ps -eLo pid,tid,stat,wchan:32,comm | awk '$3 ~ /D/'; } \
        > "$TEST_DIR/state.log" 2>&1 < /dev/null
    (cd "$CONFIGFS" 2> /dev/null && find . -maxdepth 6 | LC_ALL=C sort) > "$TEST_DIR/configfs.log"
    note "daemon log, last lines:"
    note "$(grep -v 'Skipping ALUA' "$DAEMON_LOG" 2> /dev/null | tail -n 15 | cut -c 12-200)"
    note "kernel log, last lines:"
    note "$(tail -n 15 "$TEST_DIR/dmesg.log")"
}
trap finish EXIT
trap 'exit 130' INT TERM

mkdir -p "$MNT"
cd /srv || exit 1
set -x
