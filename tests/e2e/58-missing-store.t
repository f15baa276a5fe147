#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An empty disk never takes the place of a known one: while the file system with the volume is not
# mounted, after its file was removed, with another folder in place of its own, and when a saved
# configuration is restored. Nothing is created; the LUN answers BUSY, others work, and once the
# volume is back its data is there. Somebody who makes a LUN on such a path is told what
# is wrong and what to do.
# timeout: 300
. "$(dirname "$0")/disk.sh"
[[ $BACKSTORE == ballast ]] || skip_all "about user:ballast only"
[[ -n ${BALLAST_LONG-} ]] || skip_all "needs two minutes or more: BALLAST_LONG=1"
plan 35

mib=$((1 << 20))
img=/srv/$TEST_NAME.img volumes=/srv/$TEST_NAME.volumes
file=$volumes/vol0.raw
test_cleanup() {
    clear_target
    umount -l "$volumes" 2>&9
    rm -rf "$img" "$volumes" "$volumes.records"
}
mount_volumes() { mount -o loop "$img" "$volumes"; }
stop_daemon() { bounded 60 systemctl stop tcmu-runner.service; }
empty_here() { [[ -z $(find "$volumes" -type f) ]]; }
# begin_read: in the background, from the LUN whose storage is away.
begin_read() {
    dd if="$(dev 0)" of="$TEST_DIR/read" bs=64k count=16 iflag=direct 2>&9 3>&- &
    reader=$!
}
# read_well DESC: what was read while the storage was away is what was written before.
read_well() {
    ok "$1: the read that waited ends" wait_for 60 "the end of the waiting read" gone $reader
    wait $reader
    ok "$1: with the data" cmp -n $mib "$TEST_DIR/read" "$MODEL"
}
other_works() { bounded 20 dd if="$(dev 1)" of=/dev/null bs=64k count=1 iflag=direct status=none; }
record() { compgen -G "$RECORDS/vol0.raw-*"; }

fresh_daemon
mkdir -p "$volumes"
truncate -s 200M "$img" && mkfs.ext4 -q -m 0 "$img" && mount_volumes || bail "no file system"
# Not file_lun: rtslib does not restore a configuration with a colon.
ok "a LUN in a file system of its own, and another" eval 'make_lun vol0 64M "file=$file" && make_lun vol1 64M "file=$(backing vol1)"'
ok "the file is created" test -f "$file"
ok "and remembered" wait_for 10 "a record" record
export_luns
ok "login" login
fill_random 0 $mib

# ---- not mounted when the daemon starts
ok "the daemon stops" stop_daemon
unmount "$volumes"
: > "$DAEMON_LOG"
ok "and starts, with the file system not mounted" start_daemon
begin_read
ok "the other LUN works" other_works
expect_log 'vol0: becoming ready'
like "$(tr -d '\n' < "$DAEMON_LOG")" "mounted at $volumes" "the log says what is to be mounted"
sleep 3
ok "nothing is created in the empty mount point" empty_here
ok "the read waits" eval '! gone $reader'
mount_volumes
read_well "mounted"

# ---- removed while the daemon is down
stop_daemon
mv "$file" "$volumes/aside"
: > "$DAEMON_LOG"
ok "the daemon starts without the file" start_daemon
begin_read
expect_log "$file is missing"
ok "the other LUN works" other_works
ok "the file is not created" test ! -e "$file"
mv "$volumes/aside" "$file"
read_well "the file is back"

# ---- another folder in its place, with an empty file of the right size
stop_daemon
unmount "$volumes"
truncate -s 64M "$file"
: > "$DAEMON_LOG"
ok "the daemon starts with another folder in place" start_daemon
begin_read
expect_log "$file is another file, which holds no data"
rm "$file"
mount_volumes
read_well "its own is back"
logout

# ---- a saved configuration, restored before the file system is mounted
ok "targetctl save, clear" eval 'bounded 60 targetctl save && bounded 60 targetctl clear'
unmount "$volumes"
: > "$DAEMON_LOG"
ok "targetctl restore" bounded 60 targetctl restore
expect_log 'vol0: becoming ready'
ok "nothing is created" empty_here
ok "login, with the store away" login 0
ok "the other LUN's disk is there soon" wait_for 20 "disk of LUN 1" test -b "$(by_path 1)"
ok "and works" other_works
# Linux asks LUN 0 again and again whether it is ready; REPORT LUNS, which goes to LUN 0 too, gets through.
host=$(compgen -G "/sys/class/iscsi_session/session*/device/target*" | sed 's/.*target\([0-9]*\):.*/\1/' | head -n 1)
scan() { echo '- - -' > "/sys/class/scsi_host/host$host/scan"; }
ok "a scan is not held up" bounded 30 scan
mount_volumes
ok "the disk of LUN 0 comes" wait_for 60 "disk of LUN 0" test -b "$(by_path 0)"
ok "the data of LUN 0 is there" cmp -n $mib "$(dev 0)" "$MODEL"
logout

# ---- somebody makes a LUN where one had its file
mv "$RECORDS" "$volumes.records"
clear_target
mv "$volumes.records" "$RECORDS"
rm "$file"
said=$(tcli << END
/backstores/user:ballast create name=vol9 size=64M cfgstring=file=$file
exit
END
)
like "$(tr -d '\n' <<< "$said")" "is missing, but LUN vol0 .*rm $RECORDS/vol0.raw" "targetcli is told why not, and what to do"
rm "$(record)"
ok "having done it, the LUN is made" make_lun vol9 64M "file=$file"
