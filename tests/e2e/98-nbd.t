#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A LUN on an export of an NBD server: the server is killed and started anew under load that verifies, then it is
# stopped for longer than the initiator waits, with a healthy LUN in the same session.
# timeout: 420
. "$(dirname "$0")/stores.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; docs/one-slow-disk.md shows what others do"
plan $((ROW_ASSERTIONS + 12))

# ---- restarts ----
make_nbd_export one
fresh_daemon
ok "a LUN on an NBD export" make_lun nbd0 128M "nbd=/run/one.sock"
ok "a file beside it" make_lun beside 64M file=/srv/beside.raw
ok "login" eval "export_luns && login"
is "$(blockdev --getsize64 "$(dev 0)")" $((128 << 20)) "the disk has the LUN's size"
fio --name=verify --filename="$(dev 0)" --rw=randwrite --bs=4k --size=64m --io_size=96m --iodepth=8 --ioengine=libaio \
    --direct=1 --verify=crc32c --rate_iops=400 --time_based --runtime=$((20 * ${LAB_SLOW:-1})) --verify_backlog=512 \
    > "$TEST_DIR/fio.log" 2>&1 3>&- &
fio=$!
for round in 1 2 3; do
    pause 4
    kill -KILL "${store_server[one]}"
    wait "${store_server[one]}" 2>&9
    pause 1
    rm -f /run/one.sock
    serve one nbdkit -f -U /run/one.sock file /srv/one.img
    ok "restart $round: the other LUN is answered" bounded 10 dd if="$(dev 1)" of=/dev/null bs=4k count=1 iflag=direct status=none
done
ok "fio ends well, and every block is as it was written" wait "$fio"
is "$(kernel_since | grep -cE 'I/O error|offline')" 0 "no error in the initiator's log"
expect_log "nbd0: .*connection"
ok "what is written is in the server's file" eval "
    printf 'in the export' | dd of=$(dev 0) bs=4096 conv=sync,fsync status=none &&
    [[ \$(head -c 13 /srv/one.img) == 'in the export' ]]"
ok "all is let go" eval "clear_target && kill ${store_server[one]}"
store_server=()

# ---- a stop ----
freeze_stores 15 "deadline=7s;slow=3s;stall_after=2s" nbd_export "tags_ext4*2"
