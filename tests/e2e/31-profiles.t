#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Settings that LUNs share, in /etc/ballast/ballast.conf: where they come from, what an open LUN works with, and
# that a mistake in the file takes no LUN away.
# timeout: 240
. "$(dirname "$0")/lib.sh"
[[ $BACKSTORE == ballast ]] || skip_all "the settings are ours"
plan 21
bus_policy
test_cleanup() { rm -f "$file"; }
file=/etc/ballast/ballast.conf
ballastctl() { bounded 20 "$LAB_BUILD/ballastctl" "$@"; }
told() { # NAME FILTER
    ballastctl config --json vol0 | jq -r --arg name "$1" ".luns[0].settings[] | select(.name == \$name) | $2"
}
setting() { until_said told "$1" '.value + " " + .from'; }
in_force() { until_said told "$1" .in_force; }

mkdir -p /etc/ballast
cat > "$file" << 'CONF'
[defaults]
slow = 2s
[profile database]
queue_depth = 64
deadline = 30s
CONF
fresh_daemon
tcli <<< "/backstores/user:ballast create name=vol0 size=64M cfgstring=file=/srv/vol0.raw;profile=databse" > "$TEST_DIR/said" 2>&1
like "$(< "$TEST_DIR/said")" 'ballast.conf has no profile "databse" with a setting in it; it has database' \
    "a profile that is not there is refused, by name"
ok "and nothing is made" test ! -e /srv/vol0.raw
ok "a LUN with a profile" make_lun vol0 64M "file=/srv/vol0.raw;profile=database;queue_depth=32"
is "$(setting slow)" "2s [defaults]" "it has the defaults"
is "$(setting deadline)" "30s [profile database]" "and its profile's settings"
is "$(setting queue_depth)" "32 string" "but its own count over them"
is "$(in_force deadline)" 30s "that is what it works with"
like "$(ballastctl doctor 2>&1 || true)" 'vol0' "doctor knows the LUN"

ok "a live setting changes while it is open" ballastctl set vol0 deadline=12s
is "$(setting deadline)" "12s string" "the string has it"
is "$(in_force deadline)" 12s "and the LUN works with it"
ballastctl set vol0 queue_depth=8 > "$TEST_DIR/said" 2>&1
is $? 1 "another setting cannot change"
like "$(< "$TEST_DIR/said")" 'nothing was changed: only .*deadline' "and ballastctl says which can"
is "$(in_force queue_depth)" 32 "nothing has changed"

sed -i 's/deadline = 30s/deadline = 25s/; s/queue_depth = 64/queue_depth = 16/' "$file"
ok "without its own value, back to the profile's, which is new" ballastctl set vol0 deadline= queue_depth=32
is "$(in_force deadline)" 25s "the LUN works with that"
sed -i 's/deadline = 25s/deadline = 26s/' "$file"
like "$(ballastctl config vol0)" 'deadline +26s +\[profile database\] +the LUN works with 25s' \
    "ballastctl shows where the file has changed since"

echo "deadline" >> "$file"
ok "the daemon restarts with a file that is wrong" systemctl restart tcmu-runner.service
ok "and comes" wait_for 30 "tcmu-runner on the bus" daemon_ready
expect_log "vol0: only the settings of the LUN's own string count, until it is opened again: $file: line"
tcli <<< "/backstores/user:ballast create name=vol1 size=64M cfgstring=file=/srv/vol1.raw" > "$TEST_DIR/said" 2>&1
like "$(< "$TEST_DIR/said")" "$file: line [0-9]+" "a new LUN is refused meanwhile, with the line of the file"
