#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# ballastctl drill: what it refuses; a fire drill beside a healthy LUN that is in use; and one that is killed while its
# store is frozen. BALLAST_LONG=1: the store is frozen past the deadline of its LUN, one drill is told to end, a session
# does not outlive one, and what one has left is removed.
. "$(dirname "$0")/lib.sh"
[[ $BACKSTORE == ballast ]] || skip_all "only our plugin answers"
if [[ -z ${BALLAST_LONG-} ]]; then
    plan 28
    freeze=5 length='([5-9]|1[0-9])' longest='([4-9]|1[0-9])' busy='' # also where the machine is slow
else
    plan 36
    freeze=24 length='2[0-9]' longest='(1[89]|2[0-9])' busy='; [1-9][0-9]* commands were answered BUSY'
fi

CTL=$LAB_BUILD/ballastctl
[[ -x $CTL ]] || bail "no ballastctl in $LAB_BUILD: run make first"
FOLDER=/var/lib/ballast/drill
DRILL_IQN=iqn.2026-01.org.ballast:drill
drill=''
test_cleanup() {
    [[ -z $drill ]] || kill -KILL "$drill"
    wait_for 60 "the guardian's end" no_guardian
    "$CTL" drill --clean-up
} >&9 2>&1

status_of() { "$@" > "$TEST_DIR/said" 2>&1 < /dev/null 3>&-; echo $?; }
said() { tee /dev/fd/9 < "$TEST_DIR/said"; }
no_guardian() { ! pgrep -x drill-guard; }
frozen() { [[ $(cat /sys/block/dm-*/dm/suspended 2> /dev/null) == *1* ]]; }
# What is there of a drill, a line each; without the session and the LUN of this test.
remains() {
    cat /sys/class/iscsi_session/session*/targetname 2>&9 | grep -x "$DRILL_IQN"
    ls -d "$CONFIGFS/iscsi/$DRILL_IQN" "$CONFIGFS"/core/user_*/ballast-drill {/etc,/var/lib}/iscsi/nodes/"$DRILL_IQN" \
        /dev/mapper/ballast-drill "$FOLDER" "$RECORDS"/*ballast-drill* 2>&9
    losetup --noheadings --output BACK-FILE | grep "$FOLDER"
    pgrep -l '^drill-'
}
logout_other() { bounded 60 iscsiadm -m node -T "$IQN" -p "$PORTAL" --logout >&9 2>&1; }
sentence() { # REGEX
    grep -E "$1" "$TEST_DIR/drill" || { cat "$TEST_DIR/drill"; return 1; }
}

# --- refusals ---
is "$(status_of "$CTL" drill --freeze 4s; said | head -n 1)" $'2\nballastctl: --freeze is 4s: give 5s to 10min' "a freeze that is too short"
is "$(status_of "$CTL" drill --freeze 11min)" 2 "and one that is too long"
is "$(status_of "$CTL" drill --size 15MiB; said | head -n 1)" $'2\nballastctl: --size is 15MiB: give 16MiB to 1GiB, in whole KiB times 4' "a LUN that is too small"
is "$(status_of setpriv --reuid nobody --clear-groups "$CTL" drill --yes)" 1 "by nobody"
like "$(said)" 'needs root' "and why"
bus_policy
modprobe -a dm-mod loop
systemctl stop tcmu-runner.service
fresh_daemon
expect_log 'org.ballast.Ballast1 is on the D-Bus system bus' 30
is "$(status_of "$CTL" drill)" 1 "without a terminal, and without --yes"
like "$(said)" 'exports it on 127\.0\.0\.1:3260 alone' "says what it would do"
like "$(said)" 'nothing was done: add --yes' "and that nothing was done"

# --- a drill, beside a LUN that is in use ---
# A slow machine must not make it look stalled.
make_lun vol0 64M "file=/srv/$TEST_NAME.vol0.raw;stall_after=15s" || bail "no vol0"
export_luns
ok "another LUN is logged in" login
saved=/etc/rtslib-fb-target/saveconfig.json
mkdir -p "${saved%/*}" && echo '{"storage_objects": [], "targets": []}' > "$saved"
before=$(cat "$saved")
"$CTL" drill --freeze "${freeze}s" --yes > "$TEST_DIR/drill" 2>&1 3>&- < /dev/null &
drill=$!
ok "its store freezes" wait_for 60 "the freeze" frozen
reads=0
while ! gone "$drill" && ((reads < 60)); do
    bounded 5 dd if="$DEV" of=/dev/null bs=4k count=64 iflag=direct status=none || break
    reads=$((reads + 1))
    pause 1
done
wait_for 90 "the end of the drill" gone "$drill"
wait "$drill"
is $? 0 "all have outlived it: exit 0"
drill=''
cat "$TEST_DIR/drill" >&9
ok "it takes a port that is free" sentence '^- makes .* on 127\.0\.0\.1:3261 alone'
ok "the program that wrote to it saw no error" sentence '^the program that wrote to the frozen LUN: outlived it; [1-9][0-9]* writes and [1-9][0-9]* reads, the longest of which took '"$longest"'(\.[0-9])? s'
ok "the other LUN" sentence '^LUN vol0: outlived it; longest answer [0-9.]+ (us|ms|s)$'
ok "the frozen one" sentence '^LUN ballast-drill: outlived it; longest answer [0-9.]+ m?s'"$busy"
ok "the session of the other" sentence "^session session[0-9]+ \\(to $IQN\\): outlived it\$"
ok "its disk" sentence "^disk sd[a-z]+ \\(LUN 0 of $IQN\\): outlived it\$"
ok "the initiator that the target serves" sentence "^initiator $INITIATOR at $IQN: outlived it\$"
ok "and it says so in one line" sentence "^ok: all have outlived a freeze of $length"
is "$(remains)" "" "nothing of it is left"
is "$(cat "$saved")" "$before" "what is saved is as it was"

# --- killed while its store is frozen ---
"$CTL" drill --freeze 10min --yes > "$TEST_DIR/killed" 2>&1 3>&- < /dev/null &
drill=$!
ok "another drill freezes its store" wait_for 60 "the freeze" frozen
is "$(status_of "$CTL" drill --yes; said | tail -n 1)" $'1\nballastctl: another drill is running, or is being removed: try again when it has ended' "no two at once"
kill -KILL "$drill"
wait "$drill" 2>&9
drill=''
ok "it is killed: its store thaws" eval "wait_for 20 thaw eval '! frozen'"
ok "and its guardian removes the rest" wait_for 60 "the guardian's end" no_guardian
is "$(remains)" "" "nothing of it is left"
ok "the other LUN goes on" bounded 20 dd if="$DEV" of=/dev/null bs=4k count=64 iflag=direct status=none

[[ -n ${BALLAST_LONG-} ]] || exit 0
# --- told to end ---
"$CTL" drill --freeze 10min --yes > "$TEST_DIR/ended" 2>&1 3>&- < /dev/null &
drill=$!
wait_for 60 "the freeze" frozen
kill -TERM "$drill"
wait_for 60 "the end of the drill" gone "$drill"
wait "$drill"
is "$? $(tail -n 1 "$TEST_DIR/ended" | cut -c 1-25)" "1 The drill was interrupted" "told to end in its middle: exit 1"
drill=''
is "$(remains)" "" "and nothing of it is left"

# --- something does not outlive it ---
"$CTL" drill --freeze 5s --size 16MiB --yes --json > "$TEST_DIR/failed.json" 2>&9 3>&- < /dev/null &
drill=$!
wait_for 60 "the freeze" frozen
logout_other
wait_for 60 "the end of the drill" gone "$drill"
wait "$drill"
is "$? $(jq -r '.ok, .load.outlived, .size_bytes' "$TEST_DIR/failed.json" | xargs)" "1 false true 16777216" "a session is cut: exit 1"
drill=''
is "$(jq -r '.seen[] | select(.outlived | not) | "\(.kind) \(.troubles | join(" "))"' "$TEST_DIR/failed.json" | sort)" \
    $'disk is gone\ninitiator lost its session\nsession is gone' "and who has not outlived it"

# --- left behind by a machine that went down, or by hand ---
mkdir -p "$FOLDER" && truncate -s 16M "$FOLDER/store"
losetup -f "$FOLDER/store"
is "$(status_of "$CTL" drill --yes)" 1 "something is left of a drill: no other one"
like "$(said)" "has left the device /dev/loop[0-9]+, the file $FOLDER/store: ballastctl drill --clean-up removes that" "and what"
is "$(status_of "$CTL" drill --clean-up; remains)" 0 "--clean-up removes it"
is "$(status_of "$CTL" drill --clean-up; said)" $'0\nnothing to remove: no drill has left anything' "and may be done again"
