#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 500
# 4 MiB travel as one command with recipe big-transfers.targetcli, as 4 without.
. "$(dirname "$0")/recipes.sh"
IQN=iqn.2026-01.org.ballast:vol0
plan 11

# Commands a LUN was given so far, as LIO counts them.
commands() { cat "$CONFIGFS"/core/user_*/"$1"/statistics/scsi_lu/num_cmds; }
# cost NAME dd-operands...: commands that transfers of 4 MiB take.
cost() {
    local before
    before=$(commands "$1")
    dd bs=4M status=none "${@:2}" || return 1
    echo $(($(commands "$1") - before))
}

fresh_daemon
file_of /srv/vol0.raw 64M
file_of /srv/big0.raw 64M
ok "a target to add to" recipe one-lun-chap.targetcli SIZE=64M "${TO_US[@]}"
ok "the recipe runs" recipe big-transfers.targetcli SIZE=64M "INITIATOR=$INITIATOR" LUN=1
ok "login" chap_login "$SECRET_FILE"
ok "both disks" wait_for 30 "disk of LUN 1" test -b "$(by_path 1)"
udevadm settle
small=$(dev 0) big=$(dev 1)
is "$(cat "/sys/block/${small#/dev/}/queue/max_sectors_kb")" 1024 "by default the initiator cuts at 1 MiB"
ok "with the recipe it may have 4 MiB" eval \
    'echo 4096 > "/sys/block/${big#/dev/}/queue/max_sectors_kb"'
is "$(cost vol0 if="$small" of=/dev/null count=1 iflag=direct)" 4 "4 MiB read by default: 4 commands"
is "$(cost big0 if="$big" of=/dev/null count=1 iflag=direct)" 1 "with the recipe: 1"
dd if=/dev/urandom of=/srv/pattern bs=1M count=4 status=none
# Here the initiator counts: to close a disk after writing costs commands of other kinds.
writes() { awk '{ print $5 }' "/sys/block/${big#/dev/}/stat"; }
before=$(writes)
dd if=/srv/pattern of="$big" bs=4M oflag=direct status=none
is "$(($(writes) - before))" 1 "4 MiB written: 1 request"
ok "and what was written is in the file" cmp -n $((4 << 20)) /srv/pattern /srv/big0.raw
is "$(cat "$CONFIGFS"/core/user_*/big0/attrib/max_data_area_mb)" 128 "the data area has its bound"
