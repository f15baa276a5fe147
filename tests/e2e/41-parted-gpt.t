#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A partition table survives, and is the same to every reader: buffered, and direct with user
# buffers at every 512-byte offset of a page. (A published bug: a copy loop took each segment for a
# page and returned the GPT header twice.)
# timeout: 180
. "$(dirname "$0")/disk.sh"
plan 14

size=$((64 << 20))
fresh_daemon
file_lun vol0 64M
export_luns
ok "login" login
ok "parted makes a GPT" parted -s "$DEV" mklabel gpt
settle # udev rereads the table, too, whenever somebody who could write closes the disk
ok "parted makes two partitions" parted -s "$DEV" mkpart alpha ext4 1MiB 32MiB mkpart beta ext4 32MiB 63MiB
settle
table() { parted -s -m "$DEV" unit s print | tail -n +3; }
like "$(table | tr -d '\n')" '^1:2048s:65535s:.*alpha.*2:65536s:129023s:.*beta' "another parted finds both"
settle
ok "the kernel rereads them" partprobe "$DEV"
settle
is "$(cat "/sys/block/$(basename "$DEV")/$(basename "$DEV")2/size")" 63488 "the kernel gives the second its size"
sound() { "$TOOLS_SRC/gpt-check.py" "$1" "$size" 512; }
ok "both tables and their checksums are sound on the disk" sound "$DEV"
ok "and in the file behind it" sound "$(backing vol0)"

before=$(table)
logout && login
is "$(table)" "$before" "the table is the same after another login"

offsets() { bounded 60 "$TOOLS/direct-offsets" "$@"; }
ok "direct reads of the GPT, every buffer offset" \
    offsets read "$DEV" "$(backing vol0)" 0 $((34 * 512))
ok "direct reads of the backup GPT, every buffer offset" \
    offsets read "$DEV" "$(backing vol0)" $((size - 33 * 512)) $((33 * 512))
ok "direct writes, every buffer offset" \
    offsets write "$DEV" "$(backing vol0)" $((8 << 20)) $((129 * 512))

loop_attach vol0
ok "direct reads over loopback, every buffer offset" \
    offsets read "$LOOP_DEV" "$(backing vol0)" 0 $((34 * 512))
ok "direct writes over loopback, every buffer offset" \
    offsets write "$LOOP_DEV" "$(backing vol0)" $((9 << 20)) $((129 * 512))
