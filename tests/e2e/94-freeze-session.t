#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A store is frozen, and meanwhile another session logs out, the connection of the frozen LUN's session
# is cut, the other session logs in again, and the clock is set. Nobody sees an error.
# cpus: 2
# timeout: 420
. "$(dirname "$0")/stores.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; docs/one-slow-disk.md shows what others do"
[[ -n ${BALLAST_LONG-} ]] || skip_all "needs three minutes: BALLAST_LONG=1"
plan 19

other_iqn=$IQN-other
# A session of its own: another target, one LUN.
other() { # COMMAND...
    local IQN=$other_iqn
    "$@"
}
stores_more() { make_lun other 64M file=/srv/other.raw && other export_luns other && other login 1; }
other_ends() {
    iscsiadm -m node -T "$other_iqn" -p "$PORTAL" --logout && wait_for 20 "its disk to go" test ! -e "$(by_path 0 "$other_iqn")"
}
# login looks for disks of $IQN, of which there are some.
other_begins() {
    iscsiadm -m node -T "$other_iqn" -p "$PORTAL" --login && wait_for 20 "its disk" test -b "$(by_path 0 "$other_iqn")"
}
session_is_back() { [[ $(iscsiadm -m session -P 1 | grep -c 'iSCSI Session State: LOGGED_IN') == 2 ]]; }

row_begin 20 "deadline=7s;stall_after=2s" "tags_ext4*2"
sleep 3
took 30 other_ends
is "$status" 0 "it logs out during the freeze"
note "logout: $seconds s"
ok "at once" test "$seconds" -le 10
ss -K dst 127.0.0.1 dport = 3260 >&9 2>&1
took 30 other_begins
is "$status" 0 "it logs in during the freeze"
note "login: $seconds s"
ok "at once" test "$seconds" -le 15
date -s "+1 hour" >&9
pause 1
date -s "-1 hour" >&9
row_frozen
like "$(kernel_since)" 'detected conn error' "the connection of the frozen LUNs' session was cut"
unlike "$(kernel_since)" 'I/O error|[Dd]evice offlined|[Bb]uffer I/O' "no I/O error, no disk offlined"
ok "both sessions are there" wait_for 20 "both sessions" session_is_back
is "$(stuck 10)" "" "no thread of target or initiator was stuck"
is "$(kernel_complaints)" "" "the kernel has nothing to complain of"
load_well
ok "all blocks are right" check_all
gap=$(load_gap "$healthy" "$frozen_at" "$thawed_at")
note "healthy LUN: longest gap $gap ms"
# The new session begins when the old one's commands have been answered, at their deadline at the latest.
ok "the healthy LUN is back before the thaw" test "$gap" -lt 14000
is "$(threads_stuck)" "" "no thread of the daemon slept that must not"
row_over
ok "all is let go" stores_remove
