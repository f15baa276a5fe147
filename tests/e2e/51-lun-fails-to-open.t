#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A LUN whose storage cannot be opened says why and hurts nobody: not when it is made, not when the
# daemon restarts under a session that has it; then it waits for its storage.
# timeout: 240
. "$(dirname "$0")/disk.sh"
[[ $BACKSTORE == ballast ]] || skip_all "about user:ballast only"
plan 18

mib=$((1 << 20))
works() { # LUN
    bounded 20 dd if="$MODEL" of="$(dev "$1")" bs=64k count=16 oflag=direct conv=notrunc status=none &&
        blockdev --flushbufs "$(dev "$1")" && cmp -n $mib "$(dev "$1")" "$MODEL"
}
alive() { [[ $(daemon_pid) == "$pid" ]]; }

fresh_daemon
pid=$(daemon_pid)
head -c $((4 * mib)) /dev/urandom > "$MODEL"
file_lun vol0 64M
mkdir -p /srv/volumes
make_lun vol1 64M file:/srv/volumes/vol1.raw

# While it is made.
not_ok "a LUN in a folder that is not there is not made" make_lun bad0 64M file:/srv/nowhere/a.raw
expect_log '/srv/nowhere'
not_ok "a LUN whose file another LUN holds is not made" make_lun bad1 64M "file:$(backing vol0)"
expect_log "$(backing vol0).*(lock|in use|held)"
ok "the daemon is alive" alive
export_luns
ok "login" login
ok "LUN 0 works" works 0
ok "LUN 1 works" works 1

# At a restart: the file system with the volume is not mounted, say.
bounded 60 systemctl stop tcmu-runner.service
mv /srv/volumes /srv/volumes.away
: > "$DAEMON_LOG"
ok "the daemon starts without the second LUN's storage" start_daemon
pid=$(daemon_pid)
expect_log '/srv/volumes'
ok "LUN 0 works" works 0
# Answered BUSY, and sent again.
dd if="$(dev 1)" of=/dev/null bs=4k count=1 iflag=direct 2>&9 3>&- &
reader=$!
ok "LUN 0 works while LUN 1 waits" works 0
ok "for more than a moment" eval 'for i in 1 2 3 4 5; do works 0 || exit 1; sleep 0.5; done'
ok "the daemon is alive" alive
ok "the session is" logged_in

mv /srv/volumes.away /srv/volumes
wait_for 60 "the end of the waiting read" gone $reader
wait $reader
is $? 0 "the storage is back, and who waited for it has its data"
ok "LUN 1 works again" wait_for 60 "LUN 1" works 1
ok "LUN 0 works" works 0
