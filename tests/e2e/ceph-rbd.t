#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A LUN on an image in a real Ceph. The daemon is killed under load that verifies, and takes the image over from
# itself; the image grows; the pool is full. Then the OSD is stopped for longer than the initiator waits for an
# answer, with a healthy LUN in the same session.
# packages: ceph
# cpus: 2
# timeout: 420
. "$(dirname "$0")/stores.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours"
plan $((ROW_ASSERTIONS + 26))
mib=$((1 << 20))

ok "a Ceph" ceph_up
ok "an image" ceph_image rbd/vol0 64M
fresh_daemon
ok "a LUN on it" make_lun vol0 64M "rbd=rbd/vol0;conf=$CEPH_CONF"
ok "a file beside it" make_lun beside 64M file=/srv/beside.raw
ok "login" eval "export_luns && login"
is "$(blockdev --getsize64 "$DEV")" $((64 * mib)) "the disk has the LUN's size"

# ---- the daemon is killed ----
fio --name=verify --filename="$DEV" --rw=randwrite --bs=4k --size=32m --io_size=64m --iodepth=8 --ioengine=libaio \
    --direct=1 --verify=crc32c --verify_fatal=1 --rate_iops=200 --time_based --runtime=$((10 * ${LAB_SLOW:-1})) \
    --verify_backlog=256 --aux-path="$TEST_DIR" > "$TEST_DIR/fio.log" 2>&1 3>&- &
fio=$!
moved() { (($(answered_by 0) > $1)); }
wait_for 40 "load" moved 100
was=$(daemon_pid)
kill -KILL "$was"
ok "the daemon is killed" wait_for 20 "its end" daemon_gone
systemctl reset-failed tcmu-runner.service
ok "and started again" start_daemon
ok "the image is taken over, and I/O goes on" wait_for 30 "I/O" moved $(($(answered_by 0) + 20))
expect_log "vol0: its last owner, .*, is gone without giving the lock back"
ok "fio ends well, and every block is as it was written" wait "$fio"
is "$(kernel_since | grep -cE 'I/O error|detected conn error|offline')" 0 "no error in the initiator's log"

# ---- it grows ----
ok "configfs takes a new size" eval 'echo $((96 * mib)) > "${lun_path[vol0]}/attrib/dev_size"'
is "$(rbd info rbd/vol0 | sed -n 's/.*size \(.*\) in .*/\1/p')" "96 MiB" "the image has grown"
dd if="$DEV" of=/dev/null bs=4k count=1 iflag=direct status=none # any command carries the unit attention
echo 1 > "/sys/block/${DEV##*/}/device/rescan"
is "$(blockdev --getsize64 "$DEV")" $((96 * mib)) "and after a rescan the disk"
ok "the new part can be written" dd if=/dev/urandom of="$DEV" bs=1M seek=80 count=2 oflag=direct conv=notrunc status=none

# ---- the pool is full ----
head -c $((2 * mib)) /dev/urandom > "$MODEL"
write_model() { bounded 60 dd if="$MODEL" of="$1" bs=1M seek="$2" count="$3" oflag=direct conv=notrunc; }
ok "what exists is written" write_model "$DEV" 0 1
ok "the pool becomes full" ceph_trouble rbd_full
said=$(write_model "$DEV" 88 2 2>&1)
isnt $? 0 "what would grow fails"
like "$said" "No space left on device" "and says why"
ok "what exists can be written" write_model "$DEV" 0 1
ok "and read" cmp -n $mib "$DEV" "$MODEL"
ok "and the other LUN written" write_model "$(dev 1)" 0 2
ceph_well
ok "with room again it can be written" wait_for 30 "a write" write_model "$DEV" 88 2
ok "and is right" cmp -n $((2 * mib)) -i $((88 * mib)):0 "$DEV" "$MODEL"
ok "all is let go" clear_target

# ---- the OSD is stopped ----
# Shorter than the stop: the initiator would abort what is not answered.
stores_more() { echo 10 > "/sys/block/$(basename "$(dev 0)")/device/timeout"; }
freeze_stores 15 "deadline=7s;slow=3s;stall_after=2s" rbd_stop
