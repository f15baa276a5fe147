#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 500
# Eight LUNs in one session: recipe many-luns.targetcli.
. "$(dirname "$0")/recipes.sh"
IQN=iqn.2026-01.org.ballast:many
plan 13

fresh_daemon
for n in {0..7}; do file_of "/srv/vol$n.raw" 16M; done
ok "the recipe runs" recipe many-luns.targetcli SIZE=16M "${TO_US[@]}"
ok "login" chap_login "$SECRET_FILE"
ok "eight disks" wait_for 30 "disks of all LUNs" all_disks {0..7}
settle
for n in {0..7}; do
    printf 'this is LUN %d' "$n" | dd of="$(dev "$n")" bs=4096 conv=sync,fsync status=none
done
for n in {0..7}; do
    is "$(head -c 13 "/srv/vol$n.raw" | tr -d '\0')" "this is LUN $n" "LUN $n is file vol$n.raw"
done
wwids=$(for n in {0..7}; do lsblk -dno WWN "$(dev "$n")"; done)
is "$(sort -u <<< "$wwids" | wc -l)" 8 "each has a name of its own"
ok "logout" chap_logout
