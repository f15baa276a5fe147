#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An initiator that counts: QEMU's, which is libiscsi's, sends a command again after BUSY, seven times, and then
# fails. In between it waits for random times whose averages are 8, 32, 128, 512, 2048, 8192 and 32768 ms. So BUSY is
# answered late, never early as long as nobody else needs the room.
# cpus: 2
# timeout: 400
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; make bench-freeze shows what others do"
[[ -n ${BALLAST_LONG-} ]] || skip_all "freezes for 75 s, twice: BALLAST_LONG=1"
command -v qemu-img > /dev/null || skip_all "qemu-img is not installed in this image"
plan 6
bus_policy

seconds=${E2E_SECONDS:-75}
ok "a LUN is exported" eval 'fresh_daemon && dm_disk dm0 160M && make_lun dm0 128M "$(dm_config dm0)" && export_luns'
name=iqn.2026-01.org.ballast:qemu
mkdir -p "$(tpg)/acls/$name/lun_0" && ln -s "$(tpg)/lun/lun_0" "$(tpg)/acls/$name/lun_0/lun"
# bench DEPTH: writes beside the freeze, more than fit before it.
bench() {
    qemu-img bench -w -d "$1" -c "$2" -s 4096 -t none --image-opts \
        "driver=iscsi,transport=tcp,portal=$PORTAL,target=$IQN,lun=0,initiator-name=$name" \
        > "$TEST_DIR/bench-$1.log" 2>&1
}
for depth in 4 32; do
    bench $depth 20000 &
    pid=$!
    sleep 4
    freeze dm0
    sleep "$seconds"
    gone $pid && note "it has ended in the freeze: $(tail -n 2 "$TEST_DIR/bench-$depth.log")"
    thaw
    wait_for 120 "the end of qemu-img" gone $pid
    wait $pid
    is $? 0 "depth $depth: qemu-img bench goes on after $seconds s"
    unlike "$(< "$TEST_DIR/bench-$depth.log")" 'rror|failed' "depth $depth: without an error"
done
is "$(counted dm0 shed)" 0 "nothing was answered early"
