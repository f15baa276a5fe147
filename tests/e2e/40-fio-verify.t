#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fio reads back what it wrote: blocks of 512 bytes to 8 MiB, random and sequential, one to 64 at
# a time, several writers beside each other, with trims in between.
# cpus: 2
# timeout: 900
. "$(dirname "$0")/disk.sh"
plan 7

# BALLAST_LONG=1: eight times the data.
scale=${BALLAST_LONG:+8}
mib() { echo "$(($1 * ${scale:-1}))m"; }
seed=${BALLAST_SEED:-$RANDOM}
note "BALLAST_SEED=$seed"

# verify NAME ARGUMENT...: one fio run on $DEV that fails at the first wrong byte.
verify() {
    local name=$1
    shift
    bounded 600 fio --filename="$DEV" --ioengine=libaio --direct=1 --randseed="$seed" \
        --verify_fatal=1 --verify_dump=1 --aux-path="$TEST_DIR" --group_reporting \
        --output="$TEST_DIR/fio-$name.log" "$@" || {
        tail -n 20 "$TEST_DIR/fio-$name.log"
        return 1
    }
}

fresh_daemon
file_lun vol0 1G
export_luns
ok "login" login

ok "sizes of 512 B to 8 MiB, random, depth 1 to 64, four writers at once" verify mixed \
    --verify=crc32c --size="$(mib 12)" \
    --name=depth64 --rw=randwrite --bsrange=512-64k --iodepth=64 --offset=0 \
    --name=depth16 --rw=randwrite --bsrange=512-8m --iodepth=16 --offset=192m \
    --name=depth4 --rw=randrw --bs=4k --size="$(mib 4)" --iodepth=4 --offset=384m \
    --name=depth1 --rw=randwrite --bs=512 --size="$(mib 1)" --iodepth=1 --offset=576m

ok "sequential, 4 KiB and 8 MiB" verify sequential --verify=crc32c \
    --name=small --rw=write --bs=4k --size="$(mib 4)" --iodepth=32 --offset=0 \
    --name=large --rw=write --bs=8m --size="$(mib 32)" --iodepth=4 --offset=300m

# A header in each 512 bytes: one that turns up in another place is told apart.
ok "each 512 bytes name their own place" verify headers --verify=xxhash --verify_interval=512 \
    --name=headers --rw=randwrite --bsrange=4k-1m --size="$(mib 8)" --iodepth=32 --offset=64m

# Every second 64 KiB is written and verified, while all between them are trimmed. (fio 3.33 has
# options for trims among verified writes, and aborts on them.)
ok "the ground for trims" dd if=/dev/urandom of="$DEV" bs=1M seek=128 count=16 oflag=direct status=none
stripes="--offset=128m --io_size=8m --size=16m --bs=16k --zonemode=strided --zonesize=64k --zonerange=64k --zoneskip=64k"
# shellcheck disable=SC2086 # several options
ok "writes between trims stay" verify trim --iodepth=8 $stripes \
    --name=written --rw=randwrite --verify=crc32c \
    --name=trimmed --rw=trim --offset=$(((128 << 20) + 65536))
# shellcheck disable=SC2086
ok "what was trimmed reads as zeros" verify trimmed --iodepth=8 $stripes --offset=$(((128 << 20) + 65536)) \
    --name=zeros --rw=read --verify=pattern --verify_pattern=0x00
