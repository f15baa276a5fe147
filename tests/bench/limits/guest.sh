#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the lab guest (make bench-limits): one disk with a limit, from a Ballast LUN over iSCSI and from a
# throttle group of qemu-storage-daemon over NBD. fio asks for more than the limit, 32 requests at once, half
# of them writes. The two take turns.
#
#   BENCH_IOPS, BENCH_MIB   the limits: requests a second (100), MiB a second (4)
#   BENCH_ROUNDS            (3)
# packages: bench
: "${LAB_OUT:?make bench-limits starts this in the lab guest}"
here=$LAB_SRC/tests/bench/limits
. "$LAB_SRC/tests/e2e/disk.sh"
# shellcheck disable=SC2034
tap_planned=0
iops=${BENCH_IOPS:-100} mib=${BENCH_MIB:-4} rounds=${BENCH_ROUNDS:-3}
bytes=$((mib << 20))
idle=3 length=14 # seconds; table.py judges ten of them

qemu_serves() { # LIMITS, as JSON
    rm -f /run/limits.sock
    qemu-storage-daemon --object "{\"qom-type\":\"throttle-group\",\"id\":\"group\",\"limits\":{$1}}" \
        --blockdev driver=file,node-name=file,filename=/srv/qemu.raw,cache.direct=on \
        --blockdev driver=throttle,node-name=limited,throttle-group=group,file=file \
        --nbd-server addr.type=unix,addr.path=/run/limits.sock \
        --export type=nbd,id=export,node-name=limited,name=limited,writable=on 3>&- >&9 2>&1 &
    server=$!
    wait_for 20 "qemu-storage-daemon" test -S /run/limits.sock &&
        bounded 20 nbd-client -unix /run/limits.sock /dev/nbd0 -N limited >&9 2>&1
}
qemu_ends() {
    bounded 20 nbd-client -d /dev/nbd0 >&9 2>&1
    kill "$server" && wait "$server"
} 2>&9
ballast_limits() { echo "ballast/file=/srv/ballast.raw;$1" > "${lun_path[ballast]}/attrib/dev_config"; }

asks() { # NAME DISK BLOCK
    sleep $idle
    bounded $((length + 60)) fio --name=all --filename="$2" --size=128m --rw=randrw --bs="$3" --ioengine=libaio --direct=1 \
        --iodepth=32 --time_based --runtime=$length --write_lat_log="$LAB_OUT/$1" --disable_clat=1 --disable_slat=1 \
        --output="$LAB_OUT/$1.txt" >&9 2>&1 || say "fio on $1: $(tail -n 3 "$LAB_OUT/$1.txt")"
}
say() { printf '%s\n' "$*"; }

# The limit's name, Ballast's keys, QEMU's limits, the block that fio uses.
cases=(
    "iops|max_iops=$iops|\"iops-total\":$iops|4k"
    "iops-burst|max_iops=$iops;burst=1s|\"iops-total\":$iops,\"iops-total-max\":$((2 * iops)),\"iops-total-max-length\":1|4k"
    "bandwidth|max_bandwidth=${mib}MiB|\"bps-total\":$bytes|64k"
    "bandwidth-burst|max_bandwidth=${mib}MiB;burst=1s|\"bps-total\":$bytes,\"bps-total-max\":$((2 * bytes)),\"bps-total-max-length\":1|64k"
)

fresh_daemon
dd if=/dev/zero of=/srv/ballast.raw bs=1M count=128 status=none
cp /srv/ballast.raw /srv/qemu.raw
modprobe nbd
if ! make_lun ballast 128M "file=/srv/ballast.raw" || ! export_luns || ! login; then
    bail "no LUN: $(tail -n 3 "$DAEMON_LOG")"
fi
for ((round = 1; round <= rounds; round++)); do
    for one in "${cases[@]}"; do
        IFS='|' read -r name keys limits block <<< "$one"
        ballast_limits "$keys" || bail "the limit is refused: $(tail -n 3 "$DAEMON_LOG")"
        asks "ballast.$name.$round" "$DEV" "$block"
        qemu_serves "$limits" || bail "qemu-storage-daemon does not serve"
        asks "qemu.$name.$round" /dev/nbd0 "$block"
        qemu_ends
        say "round $round, $name: done; load of the guest $(cut -d ' ' -f 1 /proc/loadavg)"
    done
done
python3 "$here/table.py" "$LAB_OUT" "$iops" "$mib"
