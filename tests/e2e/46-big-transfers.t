#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 1 MiB is offered and travels as one command, unless hw_max_sectors asks for something else.
# timeout: 180
. "$(dirname "$0")/disk.sh"
plan 11

mib=$((1 << 20))
fresh_daemon
file_lun vol0 64M
file_lun vol1 64M hw_max_sectors=256
export_luns
ok "login" login
is "$(block_limit 'Maximum transfer length')" 2048 "the disk offers 2048 blocks at a time"
for n in 0 1; do
    note "LUN $n: max_sectors_kb $(queue $n max_sectors_kb) of $(queue $n max_hw_sectors_kb), optimal $(queue $n optimal_io_size)"
done

# The initiator's default is its own choice; an operator's udev rule raises it.
ok "the initiator lets max_sectors_kb be 1024" eval \
    'echo 1024 > "/sys/block/$(basename "$DEV")/queue/max_sectors_kb"'
is "$(queue 0 max_sectors_kb)" 1024 "and keeps it"
# Linux 6.1 refuses this, Linux 6.12 takes as much of it as the disk does.
echo 2048 > "/sys/block/$(basename "$DEV")/queue/max_sectors_kb" 2> /dev/null
is "$(queue 0 max_sectors_kb)" 1024 "but not 2048: more than the disk takes"

head -c $((16 * mib)) /dev/urandom > "$MODEL"
ok "16 MiB are written, 1 MiB at a time" traced \
    dd if="$MODEL" of="$DEV" bs=1M oflag=direct conv=notrunc status=none
is "$(sent 0 'WRITE_10 .*txlen=2048 ') of $(sent 0 WRITE_)" "16 of 16" "in 16 commands"
ok "and read" traced bounded 30 dd if="$DEV" of="$SCRATCH/read-back" bs=1M count=16 iflag=direct status=none
# udev reads a disk that somebody has written to: small reads are not ours.
is "$(sent 0 'READ_10 .*txlen=2048 ')" 16 "in 16 commands"
ok "and are right" cmp "$MODEL" "$SCRATCH/read-back"

is "$(block_limit 'Maximum transfer length' "$(dev 1)")" 256 "the other disk offers the 256 blocks that it was made with"
