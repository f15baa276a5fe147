#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 500
# ballast-kmod tells builtin, loaded, loadable and missing apart, loads what is missing, and says
# what the kernel's TCMU can do, without leaving a trace.
. "$(dirname "$0")/lib.sh"

KMOD=$LAB_BUILD/ballast-kmod
[[ -x $KMOD ]] || bail "no ballast-kmod in $LAB_BUILD: run make first"
json() { "$KMOD" --json "${@:2}" > "$TEST_DIR/kmod.json"; jq -r "$1" "$TEST_DIR/kmod.json"; }
status_of() { "$@" > "$TEST_DIR/said" 2>&1; echo $?; }
state_of() { json ".modules[] | select(.name == \"$1\").state"; }
unload_all() {
    clear_target
    bounded 30 systemctl stop tcmu-runner.service
    # What other tests made in LIO's tree keeps its modules in use.
    rmdir "$CONFIGFS"/iscsi "$CONFIGFS"/loopback
    wait_for 20 "configfs to be let go" umount /sys/kernel/config
    wait_for 20 "LIO's modules to be let go" modprobe -r tcm_loop iscsi_target_mod target_core_user target_core_file target_core_pscsi target_core_iblock target_core_mod
    wait_for 20 "modules below it to be let go" modprobe -r configfs uio
}
plan 34

# --- nothing loaded ---
unload_all
is "$(status_of "$KMOD")" 1 "with nothing loaded: exit 1"
like "$(< "$TEST_DIR/said")" '^target_core_user +loadable ' "target_core_user is loadable"
like "$(< "$TEST_DIR/said")" 'not mounted at /sys/kernel/config' "configfs is not mounted"
like "$(< "$TEST_DIR/said")" 'run .ballast-kmod load. as root' "says what to do"
is "$(json .ready)" false "JSON: not ready"
cp "$KMOD" /srv/ballast-kmod
is "$(status_of setpriv --reuid nobody --clear-groups /srv/ballast-kmod load)" 4 "load by nobody: exit 4"
like "$(< "$TEST_DIR/said")" 'needs root: run sudo ballast-kmod load' "and says that it needs root"
is "$(status_of unshare -m sh -c "mount -t tmpfs none /lib/modules && '$KMOD'")" 3 "no /lib/modules: exit 3"
like "$(< "$TEST_DIR/said")" "apt-get install linux-image-$(uname -r | sed 's/[.+]/\\&/g')" "and says which package has them"
is "$(status_of "$KMOD" --nonsense)" 2 "a wrong option: exit 2"

# --- load ---
is "$(status_of "$KMOD" load)" 0 "load: exit 0"
like "$(< "$TEST_DIR/said")" '^target_core_user +loaded ' "target_core_user is loaded"
ok "the kernel agrees" test -e /sys/module/target_core_user/initstate
ok "configfs is mounted" mountpoint -q /sys/kernel/config
is "$(status_of "$KMOD" load)" 0 "load again: nothing to do, exit 0"
is "$(status_of "$KMOD")" 0 "check: exit 0"
is "$(state_of tcm_loop)" loadable "what only tests need is left alone"
is "$(status_of "$KMOD" load --lab)" 0 "load --lab: exit 0"
is "$(state_of tcm_loop)" loaded "loads it"

# --- TCMU, with no LUN ---
dmesg -C
is "$(json .tcmu.attributes.cmd_time_out)" 30 "attributes without any LUN"
is "$(json '[.tcmu.capabilities[].answer] | unique | join(" ")')" yes "capabilities concluded from attributes"
is "$(json '.tcmu.mailbox')" null "no mailbox was read"
is "$(json '.tcmu.mailbox.flags' --probe)" 15 "with --probe it is: all four flags"
is "$(json '[.tcmu.capabilities[].answer] | unique | join(" ")' --probe)" yes "and it says what the attributes said"
is "$(configfs_leftovers; ls /sys/class/uio)" "" "nothing is left of the probes"
unlike "$(dmesg)" '[Tt]cmu|[Tt]arget|TCM|CORE|uio' "the kernel's log has no word of them"

# --- TCMU, with a LUN ---
bus_policy
fresh_daemon
expect_log 'org.ballast.Ballast1 is on the D-Bus system bus'
json . --probe > "$TEST_DIR/said"
like "$(< "$TEST_DIR/said")" 'no probe is made while tcmu-runner' "no probe beside the daemon"
unlike "$(< "$DAEMON_LOG")" 'ballast.kmod' "the daemon's log has no word of it"
ok "a LUN" make_lun vol0 64M file:/srv/vol0.raw
told() { [[ $(json .tcmu.mailbox_from) == *"told by the plugin"* ]]; }
wait_for 20 "the plugin's answer" told
like "$(json .tcmu.mailbox_from)" 'mailbox of a LUN, told by the plugin' "its mailbox is known while it is in use"
is "$(json .tcmu.mailbox.flags)" 15 "its flags"
is "$(json .tcmu.attributes_from)" user_0/vol0 "its attributes"

# --- modules-load.d ---
ok "systemd takes modules-load.d/ballast.conf" /lib/systemd/systemd-modules-load "$LAB_SRC/kmodules/modules-load.d/ballast.conf"
