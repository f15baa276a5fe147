#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 500
# The systemd drop-ins are good, their limits hold, what the daemon may not do is taken from it, and a daemon
# that dies comes back with its LUNs.
. "$(dirname "$0")/recipes.sh"
plan 35

late=/mnt/$TEST_NAME
test_cleanup() {
    ! mountpoint -q "$late" || umount -l "$late"
    rm -rf /etc/systemd/system/tcmu-runner.service.d /etc/systemd/system/rtslib-fb-targetctl.service.d
    systemctl daemon-reload
}
limit() { awk -v what="$1" 'index($0, what) == 1 { print $(NF - 1) }' "/proc/$(daemon_pid)/limits"; }
no_loop_device() { [[ -z $(losetup -j /srv/late.img) ]]; }

for unit in tcmu-runner rtslib-fb-targetctl; do
    mkdir -p "/etc/systemd/system/$unit.service.d"
    cp "$CONFIG_DIR/systemd/$unit.service.d/"*.conf "/etc/systemd/system/$unit.service.d/"
done
systemctl daemon-reload
is "$(systemd-analyze verify tcmu-runner.service rtslib-fb-targetctl.service 2>&1 | grep -i ballast)" "" "systemd has nothing to say against them"
fresh_daemon
like "$(limit 'Max open files')" 1048576 "open files"
like "$(limit 'Max locked memory')" unlimited "locked memory"
like "$(limit 'Max core file size')" unlimited "core files"
is "$(cat "/proc/$(daemon_pid)/oom_score_adj")" -1000 "spared when memory runs out"
is "$(systemctl show -P TasksMax tcmu-runner.service)" infinity "threads"
like "$(systemctl show -P Before tcmu-runner.service)" rtslib-fb-targetctl.service "the daemon is up before targets are restored"
like "$(systemctl show -P Wants rtslib-fb-targetctl.service)" tcmu-runner.service "and restoring starts it"

# --- what it may not do ---
of_daemon() { awk -v what="$1:" '$1 == what { print $2 }' "/proc/$(daemon_pid)/status"; }
namespace() { readlink "/proc/$1/ns/$2"; }
# CAP_DAC_OVERRIDE, FOWNER, NET_BIND_SERVICE, NET_ADMIN, SYS_RAWIO, SYS_ADMIN, SYS_RESOURCE
is "$(of_daemon CapBnd)" 000000000122140a "its capabilities are those of the drop-in"
is "$(of_daemon CapEff)" 000000000122140a "and it has no others"
is "$(of_daemon NoNewPrivs)" 1 "it gets no more of them"
is "$(of_daemon Seccomp)" 2 "system calls are filtered"
is "$(namespace "$(daemon_pid)" mnt)" "$(namespace 1 mnt)" "it sees the file systems that everybody sees"
ok "systemd's score of it is at most 5.0" systemd-analyze security --no-pager --threshold=50 tcmu-runner.service
bounded 60 systemctl stop tcmu-runner.service
rmmod target_core_user
ok "it starts where its kernel module is not loaded" start_daemon
ok "which is loaded then" test -d /sys/module/target_core_user

truncate -s 64M /srv/late.img
mkfs.ext4 -q /srv/late.img
mkdir -p "$late"
mount -o loop /srv/late.img "$late"
useradd -M stranger 2>&9 || true
install -o stranger -m 0600 /dev/null "$late/vol1.raw"
truncate -s 8M "$late/vol1.raw"
ok "a LUN on a file system mounted since, in a file of somebody else" make_lun vol1 8M "file:$late/vol1.raw"
ok "is exported" export_luns
ok "login" login
ok "it can be written" dd if=/dev/zero of="$DEV" bs=64k count=4 oflag=direct conv=fsync status=none
clear_target
ok "the file system can be unmounted" wait_for 20 "nobody to use $late" bounded 60 umount "$late"
ok "and its device is free" wait_for 20 "the end of the loop device" no_loop_device

# --- a daemon that dies ---
systemctl reset-failed tcmu-runner.service # five starts within a minute would be too many
ok "a LUN" make_lun vol0 64M file:/srv/vol0.raw
ok "is exported" export_luns
ok "login" login
dd if=/dev/urandom of=/srv/pattern bs=64k count=4 status=none
dd if=/srv/pattern of="$DEV" bs=64k oflag=direct conv=fsync status=none
before=$(daemon_pid)
kill -KILL "$before"
reborn() { local now; now=$(daemon_pid); [[ $now != 0 && $now != "$before" ]] && daemon_ready; }
ok "killed, it is back by itself" wait_for 30 "a new daemon" reborn
ok "and answers for the LUN" bounded 60 dd if="$DEV" of=/srv/back bs=64k count=4 iflag=direct status=none
ok "with the same data" cmp /srv/pattern /srv/back

# It ends with success, but nobody asked systemd to stop it.
before=$(daemon_pid)
kill -TERM "$before"
ok "terminated by somebody, it is back by itself" wait_for 30 "a new daemon" reborn
ok "and answers for the LUN" bounded 60 dd if="$DEV" of=/srv/back bs=64k count=4 iflag=direct status=none
before=$(daemon_pid)
bounded 90 dd if=/dev/zero of="$DEV" bs=4k seek=1024 count=4096 oflag=direct status=none &
io=$!
bounded 60 systemctl restart dbus.service
ok "without the bus it ends, and is back by itself" wait_for 60 "a new daemon" reborn
ok "writes under way meanwhile end without an error" wait "$io"
ok "and it answers for the LUN" bounded 60 dd if="$DEV" of=/srv/back bs=64k count=4 iflag=direct status=none
ok "with the same data" cmp /srv/pattern /srv/back
bounded 60 systemctl stop tcmu-runner.service
sleep 2
is "$(systemctl is-active tcmu-runner.service)" inactive "stopped, it stays stopped"
start_daemon
