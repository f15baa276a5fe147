#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# On an initiator with its default settings: what ballastctl doctor says of it, what tune changes,
# whether that lasts over logins, discoveries and new LUNs, and whether undo puts every byte back.
# Also why tune raises the timeout and not max_retries: with -1 Linux repeats a failing write for ever.
. "$(dirname "$0")/lib.sh"
[[ $BACKSTORE == ballast ]] || skip_all "only our disks are looked at"
plan 35

CTL=$LAB_BUILD/ballastctl
[[ -x $CTL ]] || bail "no ballastctl in $LAB_BUILD: run make first"
CONF=/etc/iscsi/iscsid.conf
RULE=/etc/udev/rules.d/60-ballast.rules
RECORD=/var/lib/ballast/tune.json
FAULT=/run/$TEST_NAME.fault
test_cleanup() {
    : > "$FAULT"
    "$CTL" tune --undo >&9 2>&1
}

status_of() { "$@" > "$TEST_DIR/said" 2>&1; echo $?; }
said() { tee /dev/fd/9 < "$TEST_DIR/said"; }
disk() { cat "/sys/block/$(basename "$(dev "${2:-0}")")/device/$1"; }
retries_file() { echo "/sys/block/$(basename "$(dev 0)")"/device/scsi_disk/*/max_retries; }
session() { cat /sys/class/iscsi_session/session*/"$1"; }
connection() { cat /sys/class/iscsi_connection/connection*/"$1"; }
node() { iscsiadm -m node -T "$IQN" -p "$PORTAL" -o show | sed -n "s/^$1 = //p"; }
verdict() { # SETTING
    "$CTL" doctor --json | jq -r ".disks[0].settings[] | select(.setting == \"$1\") | .verdict"
}

: > "$FAULT"
"$CTL" tune --undo >&9 2>&1 # what an earlier run may have left
fresh_daemon
conf_before=$(sha256sum < "$CONF")
is "$(status_of "$CTL" doctor) $(said)" "0 nothing to examine: this machine has no disk of Ballast over iSCSI, and no Ballast backstore" "doctor with nothing to look at"
make_lun vol0 64M "file=/srv/$TEST_NAME.vol0.raw;fault=$FAULT" hw_max_sectors=2048 || bail "no vol0"
export_luns
ok "login" login
node_before=$(iscsiadm -m node -T "$IQN" -p "$PORTAL" -o show)

# --- as it comes ---
is "$(status_of "$CTL" doctor)" 1 "doctor: something is to be changed"
like "$(said)" '^timeout +30 s +change +310 s' "the timeout is too short for ten minutes"
like "$(said)" 'A freeze of its store is outlived for 3 min' "so long it lasts as it is"
like "$(said)" '^hw_max_sectors +2048: 1 MiB +ok' "the target is looked at too"
is "$(status_of "$CTL" doctor --survive 1min --json; jq -r .survive_ns "$TEST_DIR/said")" $'1\n60000000000' "doctor --survive, --json"
is "$(status_of "$CTL" doctor /dev/vda)" 2 "a disk that is not ours is refused"

ok "a dry run" "$CTL" tune --dry-run
is "$(disk timeout) $(sha256sum < "$CONF") $(ls $RULE $RECORD 2> /dev/null)" "30 $conf_before " "changed nothing"

# --- tune ---
is "$(status_of "$CTL" tune --all-targets)" 0 "tune"
like "$(said)" '^sd[a-z]+ timeout: 30 -> 310$' "it says what it changes"
is "$(disk timeout) $(session recovery_tmo)" "310 600" "disk and session have it"
is "$(node node.session.timeo.replacement_timeout)" 600 "so has the node record"
is "$(status_of "$CTL" tune; tail -n 1 "$TEST_DIR/said")" $'0\nnothing to change: a freeze of 10min is outlived' "a second time there is nothing to do"
is "$(verdict noop_out_timeout)" change "NOP-out times wait for the next login"
logout
ok "login again" login
is "$(disk timeout) $(cat "$(retries_file)") $(session recovery_tmo)" "310 5 600" "a new login has it: udev's rule, the node record"
is "$(session abort_tmo) $(connection recv_tmo) $(connection ping_tmo)" "30 5 30" "and what had to wait"
is "$(status_of "$CTL" doctor)" 0 "doctor: nothing to change"
like "$(said)" '^ok: nothing to change, a freeze of 10min is outlived$' "in so many words"
make_lun vol1 64M "file=/srv/$TEST_NAME.vol1.raw" hw_max_sectors=2048 && export_lun vol1 && rescan
wait_for 20 "the disk of LUN 1" test -b "$(by_path 1)"
is "$(disk timeout 1)" 310 "a LUN that comes later has it"

# --- why not max_retries -1 ---
set_fault 'write error=medium_error'
write() { dd if=/dev/zero of="$DEV" bs=4k count=1 seek=8 oflag=direct status=none; }
not_ok "a write that fails for good fails" bounded 20 write
echo -1 > "$(retries_file)"
like "$("$CTL" doctor "$DEV")" '^max_retries +-1 +ok .* for ever, too' "doctor knows the price of -1"
write >&9 2>&1 3>&- &
writer=$!
sleep 5
not_ok "with max_retries -1 it has not failed after 5 s" gone $writer
: > "$FAULT"
ok "and ends with the fault" wait_for 20 "the write" gone $writer
echo 5 > "$(retries_file)"

# --- what is discovered later ---
logout
iscsiadm -m node -T "$IQN" -o delete
ok "discovery" discover
is "$(node node.session.timeo.replacement_timeout) $(node 'node.conn\[0\].timeo.noop_out_timeout')" "600 30" "a new node record has what iscsid.conf says"
ok "login once more" login 2

# --- undo ---
is "$(status_of "$CTL" tune --undo)" 0 "undo"
like "$(said)" "^$RULE: removed$" "it says what it takes back"
is "$(disk timeout) $(disk timeout 1) $(session recovery_tmo)" "30 30 120" "disks and session are as they were"
is "$(sha256sum < "$CONF") $(ls $RULE $RECORD 2> /dev/null)" "$conf_before " "files too, to the byte"
is "$(iscsiadm -m node -T "$IQN" -p "$PORTAL" -o show)" "$node_before" "and the node record"
is "$(status_of "$CTL" tune --undo; cat "$TEST_DIR/said")" $'0\n'"nothing to undo: there is no $RECORD" "there is nothing more to undo"
