#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 500
# 4 MiB travel as one request with recipe big-transfers.targetcli, as 4 without.
. "$(dirname "$0")/recipes.sh"
IQN=iqn.2026-01.org.ballast:vol0
plan 11

# Requests that the initiator has sent to a disk so far, as it counts them itself: to open and close a
# disk costs commands of other kinds, now and then.
reads() { awk '{ print $1 }' "/sys/block/${1#/dev/}/stat"; }
writes() { awk '{ print $5 }' "/sys/block/${1#/dev/}/stat"; }
# cost COUNTER DISK dd-operands...: requests that 4 MiB take.
cost() {
    local before
    before=$("$1" "$2")
    dd bs=4M count=1 status=none "${@:3}" || return 1
    echo $(($("$1" "$2") - before))
}

fresh_daemon
file_of /srv/vol0.raw 64M
file_of /srv/big0.raw 64M
ok "a target to add to" recipe one-lun-chap.targetcli SIZE=64M "${TO_US[@]}"
ok "the recipe runs" recipe big-transfers.targetcli SIZE=64M "INITIATOR=$INITIATOR" LUN=1
ok "login" chap_login "$SECRET_FILE"
ok "both disks" wait_for 30 "disks of both LUNs" all_disks 0 1
settle
small=$(dev 0) big=$(dev 1)
is "$(cat "/sys/block/${small#/dev/}/queue/max_sectors_kb")" 1024 "by default the initiator cuts at 1 MiB"
ok "with the recipe it may have 4 MiB" eval \
    'echo 4096 > "/sys/block/${big#/dev/}/queue/max_sectors_kb"'
# A fifth where pages of dd's buffer happen to lie side by side: they make bios of odd sizes.
read_by_default=$(cost reads "$small" if="$small" of=/dev/null iflag=direct)
note "$read_by_default requests"
ok "4 MiB read by default: 4 requests, or 5" test "$read_by_default" -ge 4 -a "$read_by_default" -le 5
is "$(cost reads "$big" if="$big" of=/dev/null iflag=direct)" 1 "with the recipe: 1"
dd if=/dev/urandom of=/srv/pattern bs=1M count=4 status=none
is "$(cost writes "$big" if=/srv/pattern of="$big" oflag=direct)" 1 "4 MiB written: 1 request"
ok "and what was written is in the file" cmp -n $((4 << 20)) /srv/pattern /srv/big0.raw
is "$(cat "$CONFIGFS"/core/user_*/big0/attrib/max_data_area_mb)" 128 "the data area has its bound"
