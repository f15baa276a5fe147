#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The OCF resource agent moves a LUN between two gateways, as Pacemaker has it do.
# timeout: 240
. "$(dirname "$0")/shared-device.sh"
[[ $BACKSTORE == ballast ]] || skip_all "other handlers have no shared stores of their own"
plan 23

export PATH=$LAB_BUILD:$PATH
# agent ACTION [LUN]; "owner" and "not running" are what monitor says.
agent() { OCF_RESKEY_lun=${2-} bounded 100 "$LAB_SRC/targetcli-config/ocf/ballast-lun" "$1" > "$TEST_DIR/said" 2>&1; }
# A LUN that has not answered within a second, as happens on a slow machine, is an error, and is asked again.
monitor() {
    local tries
    for tries in 1 2 3 4 5; do
        agent monitor "$1"
        case $? in 0) echo owner && return ;; 7) echo "not running" && return ;; esac
    done
    echo "error: $(< "$TEST_DIR/said")"
}
status_of() { agent "$@"; echo $?; }

bus_policy
fresh_daemon
shared_and_own

ok "meta-data" agent meta-data
like "$(< "$TEST_DIR/said")" '<parameter name="lun" unique-group="lun" required="1">' "names the parameter"
ok "validate-all" agent validate-all a
is "$(status_of validate-all)" 6 "without a name: not configured"
is "$(status_of validate-all nobody)" 5 "a name that is not here: not installed"
is "$(status_of validate-all own)" 6 "a LUN that is not shared: not configured"
like "$(< "$TEST_DIR/said")" '^ocf-exit-reason:its configuration has neither' "and Pacemaker is told so"
is "$(status_of stop own)" 0 "but stopping it is no failure, for which a machine would be fenced"
is "$(monitor a), $(monitor b)" "not running, not running" "nobody owns it at first"
ok "start a" agent start a
is "$(monitor a), $(monitor b)" "owner, not running" "a owns it"
ok "start b, without having stopped a" agent start b
moved() { [[ "$(monitor a), $(monitor b)" == "not running, owner" ]]; }
ok "it took it from a, which looks every two seconds" wait_for 15 "a to notice" moved
ok "start and stop may be repeated" eval 'agent start b && agent stop b && agent stop b'
is "$(monitor a), $(monitor b)" "not running, not running" "nobody owns it then"
# In place of ballastctl: it asks a daemon that ends meanwhile.
mkdir "$TEST_DIR/bin"
printf '#!/bin/sh\ntimeout 90 systemctl stop tcmu-runner\nexit 1\n' > "$TEST_DIR/bin/ballastctl"
chmod +x "$TEST_DIR/bin/ballastctl"
is "$(PATH=$TEST_DIR/bin:$PATH status_of monitor a)" 7 "a daemon that ends while it is asked: not running"
like "$(< "$TEST_DIR/said")" '^ocf-exit-reason:tcmu-runner does not run' "and Pacemaker is told so"
is "$(monitor a)" "not running" "without a daemon it does not run"
is "$(status_of stop a)" 0 "and can be stopped"
start_daemon
