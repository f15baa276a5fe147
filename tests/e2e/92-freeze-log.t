#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon's log is on a disk that freezes, and then also journald is stopped, while every command is
# slow enough for a line: no thread waits for a line to be written.
# cpus: 2
# timeout: 420
. "$(dirname "$0")/stores.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; docs/one-slow-disk.md shows what others do"
[[ -n ${BALLAST_LONG-} ]] || skip_all "needs three minutes: BALLAST_LONG=1"
plan $((ROW_ASSERTIONS + 1))

# /var/log is on the store of LUN 0 from before the daemon opens its log.
make_log() {
    make_file "$1" && mkdir "/mnt/$1/log" && mount --bind "/mnt/$1/log" /var/log
}
log_home() { # the daemon writes on this machine's own disk again
    kill -CONT "$journald"
    bounded 30 systemctl stop tcmu-runner.service
    mountpoint -q /var/log && umount /var/log
}
test_cleanup() {
    stores_thaw
    log_home
    stores_cleanup
}
journald=$(systemctl show -P MainPID systemd-journald.service)

row_begin 15 "deadline=7s;slow=2ms;stall_after=2s" log
ok "journald is stopped" kill -STOP "$journald"
row_frozen
kill -CONT "$journald"
row_right
row_bounds
row_over
log_home
ok "all is let go" stores_remove
