#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What ballastctl sees of a LUN whose storage is frozen, and of its healthy neighbour; who may ask; and
# what it says when there is nobody to ask.
# timeout: 400
. "$(dirname "$0")/lib.sh"
[[ $BACKSTORE == ballast ]] || skip_all "only our plugin answers"
plan 61

CTL=$LAB_BUILD/ballastctl
[[ -x $CTL ]] || bail "no ballastctl in $LAB_BUILD: run make first"
FAULT=/run/vol0.fault
test_cleanup() {
    : > "$FAULT" # nothing ends while it is frozen
    rm -rf /etc/systemd/system/rtslib-fb-targetctl.service.d /etc/systemd/system/ballast-restore-check.service /usr/sbin/ballastctl \
        /etc/rtslib-fb-target/saveconfig.json*
    systemctl daemon-reload
    systemctl --quiet enable rtslib-fb-targetctl.service
    systemctl reset-failed ballast-restore-check.service 2>&9
}

status_of() { "$@" > "$TEST_DIR/said" 2>&1; echo $?; }
said() { cat "$TEST_DIR/said"; }
# json FILTER SUBCOMMAND [LUN]
json() { "$CTL" "${@:2}" --json | jq -r "$1"; }
json_is() { [[ $(json "${@:2}") == "$1" ]]; }

bus_policy

rm -f "$FAULT"
fresh_daemon
expect_log 'org.ballast.Ballast1 is on the D-Bus system bus'
is "$(status_of "$CTL" list) $(said)" "0 no LUNs" "a daemon without LUNs"
make_lun vol0 128M "file=/srv/$TEST_NAME.vol0.raw;fault=$FAULT;deadline=5min" || bail "no vol0"
make_lun vol1 128M "file=/srv/$TEST_NAME.vol1.raw" || bail "no vol1"
export_luns
ok "login" login

# --- calm ---
is "$(status_of "$CTL" list)" 0 "list: exit 0"
like "$(said)" '^vol0 +ok +128 MiB .*/srv/70-ballastctl\.vol0\.raw' "list: a LUN, its size, its backend"
like "$(said)" '^vol1 +ok ' "and the other"
is "$(json '[.luns[].name] | join(" ")' list)" "vol0 vol1" "list --json"
is "$(json '.luns[0].fault_control' list)" "$FAULT" "it knows the control file"
is "$(status_of "$CTL" fault vol0) $(said)" "0 vol0: no rules, no faults" "no faults yet"
dd if="$DEV" of=/dev/null bs=4k count=16 iflag=direct status=none
is "$(json '.luns[0].latency.reads.count >= 16' stats vol0)" true "stats: reads are counted"
is "$(json '.luns[0].counters | .commands >= .good and .good > 0' stats vol0)" true "stats: and so are answers"
like "$("$CTL" stats vol0)" '^  refused_wakes +0 ' "stats as text; no coroutine was woken twice"

# --- frozen ---
taken=$(rules_taken)
ok "fault set" "$CTL" fault vol0 set 'all freeze'
is "$("$CTL" fault vol0)" "all freeze" "fault show"
wait_for 20 "the fault rule" more_rules_taken "$taken"
dd if="$DEV" of=/dev/null bs=4k count=1 skip=100 iflag=direct status=none 3>&- >&9 2>&1 &
reader=$!
filter='[.luns[].commands[] | select(.lba == 800) | "\(.operation) \(.blocks) \(.stage) \(.orphan)"] | join(" ")'
ok "inflight shows the read at the backend" wait_for 10 "the read" json_is "READ (10) 8 backend false" "$filter" inflight vol0
is "$(status_of "$CTL" inflight)" 0 "inflight: exit 0"
like "$(said)" '^vol0 +READ \(10\) +800 +4 KiB +.* backend .* in [0-9]' "inflight as text: what, where, how long until the error handler"
is "$(json '.luns[0].commands | length' inflight vol1)" 0 "nothing is under way on the other LUN"
is "$(json '.luns[0] | .unanswered >= 1 and .oldest_ns > 0' list)" true "list: unanswered, and how old"
is "$(json '[.luns[0].tasks[] | select(.waits_for != null)] | length > 0' tasks vol0)" true "tasks: somebody waits"
like "$("$CTL" tasks vol0)" '^vol0 .* [a-z_]+\.(cpp|h):[0-9]+$' "tasks as text: where"
ok "list: it is stalled" wait_for 15 "the stall" json_is stalled '.luns[0].state' list
like "$("$CTL" list)" '^vol0 +stalled [0-9]' "as text: since when"
like "$("$CTL" list)" '^vol1 +ok ' "and its neighbour is not"

# --- thawed ---
ok "fault clear" "$CTL" fault vol0 clear
ok "the read ends" wait_for 20 "dd" gone "$reader"
wait "$reader"
is $? 0 "without an error"
like "$("$CTL" slow vol0)" '^vol0 +READ \(10\) +800 +4 KiB .* GOOD' "slow has it"
is "$(json '[.luns[0].requests[] | select(.lba == 800)] | any(.took_ns > 3000000000)' slow vol0)" true "and how long it took"
ok "list: not stalled any more" wait_for 10 "the end of the stall" json_is ok '.luns[0].state' list

# --- mistakes ---
is "$(status_of "$CTL" stats vol9) $(said)" '1 ballastctl: there is no LUN "vol9"; there are vol0, vol1' "an unknown LUN"
is "$(status_of "$CTL" fault vol1 clear)" 1 "no fault wrapper: exit 1"
like "$(said)" '^ballastctl: LUN vol1 has no control file for faults' "and says so"

# --- who may ask, and how else ---
like "$(gdbus introspect --system -d org.ballast.Ballast1 -o /org/ballast/Ballast1)" 'InFlight\(in +s lun' "it can be introspected"
cp "$CTL" /srv/ballastctl
is "$(status_of setpriv --reuid nobody --clear-groups /srv/ballastctl list) $(said)" \
    "1 ballastctl: root alone may ask this; members of group ballast may ask what changes nothing: sudo ballastctl" "nobody may not ask"
rm -f /srv/ballastctl

# --- where the target shows them ---
like "$("$CTL" list -o LUN,TARGET,NUMBER,INITIATORS)" "^vol1 +$IQN +1 +$INITIATOR\$" "list: target, number and initiator"

# --- what is saved, and what was restored ---
# Of systemd the lab has Debian's settings only.
findings() { "$CTL" check --json | jq -r '.findings[] | select(.subject | endswith(".service") | not) | "\(.severity) \(.subject)"'; }
saved=/etc/rtslib-fb-target/saveconfig.json
logout
is "$(findings | xargs)" "WARNING vol0 WARNING vol1" "check: what is not saved"
ok "save" bounded 60 targetctl save
chmod 600 "$saved"
is "$(findings)" "" "check: nothing, once it is saved"
is "$(status_of "$CTL" check --restored)" 0 "check --restored: all is there"
ok "clear" bounded 60 targetctl clear
sed -i "s|$TEST_NAME.vol1.raw|&;from_a_newer_version=1|" "$saved" # it cannot be opened
ln -sf "$CTL" /usr/sbin/ballastctl
mkdir -p /etc/systemd/system/rtslib-fb-targetctl.service.d
cp "$LAB_SRC/targetcli-config/systemd/rtslib-fb-targetctl.service.d/ballast.conf" /etc/systemd/system/rtslib-fb-targetctl.service.d/
cp "$LAB_SRC/targetcli-config/systemd/ballast-restore-check.service" /etc/systemd/system/
like "$("$CTL" check)" '^WARNING: rtslib-fb-targetctl.service: /etc/.*/ballast.conf is not in force.*: systemctl daemon-reload' "check: settings that systemd has not read"
systemctl daemon-reload
unlike "$("$CTL" check)" 'rtslib-fb-targetctl.service' "and nothing once it has"
systemctl --quiet disable rtslib-fb-targetctl.service
like "$("$CTL" check)" '^WARNING: rtslib-fb-targetctl.service: is disabled: the next boot does not bring back' "check: nothing would be restored"
systemctl --quiet enable rtslib-fb-targetctl.service
systemctl reset-failed 2>&9
ok "restoring without one of them succeeds" bounded 90 systemctl restart rtslib-fb-targetctl.service
ok "but the check after it fails" wait_for 30 "the end of the check" systemctl --quiet is-failed ballast-restore-check.service
says_which() { journalctl -u ballast-restore-check.service -b -o cat | grep -q '^CRITICAL: vol1: is saved in .* and is not there'; }
ok "and says which" wait_for 20 "its words" says_which
copy=$(compgen -G "$saved.not-restored-*")
ok "what was saved is kept" cmp "$saved" "$copy"
is "$(stat -c %a "$copy")" 600 "for root alone"
is "$(status_of "$CTL" check)" 2 "check: critical"
before=$(md5sum "$saved")
echo a-Secret_of+16.c > "/run/$TEST_NAME.secret"
is "$(status_of "$LAB_SRC/targetcli-config/ballast-recipe" one-lun-chap.targetcli VOLUME=vol2 SIZE=64M CONFIG=memory \
    TARGET=iqn.2026-01.org.ballast:vol2 PORTAL=127.0.0.1 INITIATOR="$INITIATOR" CHAP_USER=a CHAP_SECRET="@/run/$TEST_NAME.secret")" 1 "a recipe is refused"
like "$(said)" '^CRITICAL: vol1: is saved in .* and is not there' "and says what is missing"
is "$(md5sum "$saved") $(compgen -G "$CONFIGFS/core/user_*/vol2")" "$before " "nothing was made, or saved"
sed -i 's|;from_a_newer_version=1||' "$saved"
mapfile -t commands < <("$CTL" check --restored --json | jq -r '.findings[0].how' |
    grep -oE 'targetcli restoreconfig [a-z_]+=[^ ,]+ [a-z_]+=[^ ,]+ [a-z_]+=[^ ,]+')
for command in "${commands[@]}"; do
    # shellcheck disable=SC2086
    ok "as it says: $command" bounded 60 $command
done
is "$(status_of "$CTL" check --restored)" 0 "then all of it is there"
ok "and the check ends well" bounded 60 systemctl restart ballast-restore-check.service
ok "it is exposed to little" systemd-analyze security --no-pager --threshold=60 ballast-restore-check.service
ok "login" login 2

# --- LUNs that go, a daemon that is not there ---
logout
clear_target
is "$(status_of "$CTL" list) $(said)" "0 no LUNs" "LUNs that are gone are not shown"
bounded 30 systemctl stop tcmu-runner.service
like "$(status_of "$CTL" list) $(said)" '^1 ballastctl: tcmu-runner is not running' "no daemon"
