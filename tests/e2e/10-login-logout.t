#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A LUN comes with login and goes with logout, again and again, and targetcli
# can make what configfs writes make.
. "$(dirname "$0")/lib.sh"
plan 9

fresh_daemon
ok "a LUN of 64 MiB is made" make_lun vol0 64M file=/srv/vol0.raw
ok "it is exported" export_luns
for round in 1 2 3; do
    ok "login $round" login
    is "$(blockdev --getsize64 "$(dev 0)")" $((64 << 20)) "round $round: the disk has its size"
    logout
done
ok "no disk is left after logout" no_disks
