#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
# A LUN whose store freezes, as ballast-watch.service records it: in the journal, with what the catalog
# says of it, and in the history; and a report of the machine, without secrets and without data.
. "$(dirname "$0")/lib.sh"
[[ $BACKSTORE == ballast ]] || skip_all "only our plugin answers"
plan 25

CTL=$LAB_BUILD/ballastctl
[[ -x $CTL ]] || bail "no ballastctl in $LAB_BUILD: run make first"
FAULT=/run/$TEST_NAME.fault
unit=/etc/systemd/system/ballast-watch.service
file=/var/lib/ballast/watch/incidents.jsonl
test_cleanup() {
    : > "$FAULT"
    systemctl stop ballast-watch.service
    rm -rf "$unit" /usr/sbin/ballastctl /usr/share/dbus-1/system.d/org.ballast.Ballast1.readers.conf \
        /etc/sysusers.d/ballast-watch.conf /usr/lib/systemd/catalog/ballast.catalog /var/lib/ballast/watch
    systemctl daemon-reload
}
id_of() { sed -n "/^# $1\$/{n;s/^-- //p}" "$LAB_SRC/targetcli-config/systemd/ballast.catalog"; }
records() { journalctl -q -o json "MESSAGE_ID=$(id_of "$1")" "${@:2}"; }
recorded() { [[ -n $(records "$@") ]]; }
record() { records "$1" | tail -n 1 | jq -r "$2"; }
lines() { [[ -f $file && $(wc -l < "$file") -ge $1 ]]; }

# --- installed ---
bus_policy
cp "$CTL" /usr/sbin/
cp "$LAB_SRC/targetcli-config/systemd/ballast-watch.service" "$unit"
install -D -m 0644 -t /etc/sysusers.d "$LAB_SRC/targetcli-config/sysusers/ballast-watch.conf"
install -m 0644 -t /usr/share/dbus-1/system.d "$LAB_SRC/targetcli-config/dbus/org.ballast.Ballast1.readers.conf"
install -D -m 0644 -t /usr/lib/systemd/catalog "$LAB_SRC/targetcli-config/systemd/ballast.catalog"
systemd-sysusers
busctl --system call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig >&9
systemctl daemon-reload
ok "the catalog is taken" journalctl --update-catalog
is "$(systemd-analyze verify --man=no ballast-watch.service 2>&1 | grep -i ballast)" "" "systemd has nothing to say against the service"

: > "$FAULT"
fresh_daemon
make_lun vol0 64M "file=/srv/$TEST_NAME.vol0.raw;fault=$FAULT;stall_after=1s" || bail "no vol0"
export_luns
ok "login" login
ok "the service starts" bounded 30 systemctl start ballast-watch.service
exposed=$(systemd-analyze security ballast-watch.service 2> /dev/null | sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p')
ok "and is exposed to little: $exposed of 10" awk -v it="$exposed" 'BEGIN { exit !(it > 0 && it < 2) }'
is "$(stat -c '%U %a' /var/lib/ballast/watch) $(stat -c %U /var/lib/ballast)" "ballast-watch 750 root" \
    "its folder is its own, and the one above is not"

# --- a store that freezes ---
marker=data-of-a-customer
yes "$marker" 2>&9 | dd of="$DEV" bs=64k count=16 iflag=fullblock oflag=direct status=none 2>&9
settle # udev reads the disk when a writer closes it
sleep 2                                # the service has joined the bus
set_fault 'all freeze'
dd if="$DEV" of=/dev/null bs=4k count=1 skip=100 iflag=direct status=none 3>&- >&9 2>&1 &
reader=$!
ok "a record of the stall" wait_for 20 "the record" recorded stalled BALLAST_LBA=800
is "$(record stalled '.BALLAST_EVENT, .BALLAST_OPERATION, .BALLAST_LBA, .BALLAST_STAGE' | xargs)" \
    "stalled READ (10) 800 backend" "names the command that waits"
ok "and its age" test "$(record stalled .BALLAST_AGE_MS)" -ge 900
is "$(record stalled ._SYSTEMD_UNIT)" ballast-watch.service "it comes from the service"
like "$(journalctl -q -x "MESSAGE_ID=$(id_of stalled)")" 'ballastctl inflight vol0' "the catalog says what to do"
: > "$FAULT"
ok "the read ends" wait_for 30 "the read" gone $reader
ok "a record of the recovery" wait_for 20 "the record" recorded recovered BALLAST_LUN=vol0
ok "has how long it was" test "$(record recovered .BALLAST_STALLED_MS)" -gt 0

# --- the history ---
ok "a line of the incident" wait_for 20 "the line" lines 1
is "$("$CTL" history --json | jq -c '.incidents | map(select(.lba == 800))[0] | .lun, .ended, .errors, .lost, .operation, .begun_before' | xargs)" \
    "vol0 recovered 0 0 READ (10) false" "says what it cost"
like "$("$CTL" history --since 1h vol0)" ' vol0 .* none +-$' "and the table that none was lost"

# --- the daemon goes and comes ---
set_fault 'all freeze'
dd if="$DEV" of=/dev/null bs=4k count=1 skip=200 iflag=direct status=none 3>&- >&9 2>&1 &
reader=$!
ok "another stall" wait_for 20 "the record" recorded stalled BALLAST_LBA=1600
ok "a stop of the service while the LUN is stalled" bounded 30 systemctl restart ballast-watch.service
is "$("$CTL" history --json | jq -r '.incidents[-1] | .ended, .until' | xargs)" "watch ended null" "is written as under way"
: > "$FAULT"
ok "the read ends" wait_for 60 "the read" gone $reader

# --- the report ---
auth=$(dirname "$(find "$CONFIGFS/iscsi/$IQN" -path '*/acls/*/auth/password' | head -n 1)")
echo -n planted-user > "$auth/userid"
echo -n planted-password > "$auth/password"
ok "a report" bounded 100 "$CTL" report -o "$TEST_DIR/report.tar.gz"
mkdir "$TEST_DIR/report"
tar -xzf "$TEST_DIR/report.tar.gz" -C "$TEST_DIR/report" --strip-components 1
is "$(jq -r '.luns[].name' "$TEST_DIR/report/list.json") $(jq -r '.incidents[0].lun' "$TEST_DIR/report/incidents.json")" "vol0 vol0" \
    "has the LUN and its incident"
like "$(cat "$TEST_DIR/report/configfs.txt")" 'vol0/info' "and what configfs has"
is "$(grep -rlE "planted-|$marker" "$TEST_DIR/report" | xargs)" "" "but neither secrets nor data"
