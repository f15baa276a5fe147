#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# EXTENDED COPY: sg_xcopy copies within a LUN, where no data crosses the network. A LUN that is not in its copy_group is
# refused, whoever may use it. A store that freezes under a copy holds up nobody else, and the copy ends well.
# cpus: 2
# timeout: 240
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "LIO copies by itself, and between LUNs, too"
plan 24
bus_policy

mib=$((1 << 20))
# xcopy FROM-LUN TO-LUN FROM-BLOCK TO-BLOCK COUNT [OPTION...]
xcopy() {
    bounded 120 sg_xcopy if="$(dev "$1")" of="$(dev "$2")" bs=512 skip="$3" seek="$4" count="$5" "${@:6}"
}
# The same in the model of LUN 0.
model_copy() { dd if="$MODEL" of="$MODEL" bs=512 skip="$1" seek="$2" count="$3" conv=notrunc status=none; }
copied() { ok "$1: right on the disk" matches_model "$(dev 0)"; }

ok "two LUNs are logged in" frozen_luns 1 "deadline=4s;stall_after=2s"
ok "16 MiB are written" fill_random 0 $((16 * mib))
like "$(sg_inq "$(dev 0)")" '3PC=1' "INQUIRY says that it copies"
parameters=$(sg_copy_results -p "$(dev 0)" 2>&1)
like "$parameters" 'Maximum (CSCD|target) descriptor count: 2' "two names in a list"
like "$parameters" 'Maximum segment descriptor count: 8' "eight segments"
like "$parameters" 'Maximum segment length: 16777216' "of 16 MiB"

ok "one block" xcopy 0 0 7 100 1
model_copy 7 100 1
ok "an odd number of blocks at odd places, in one segment" traced xcopy 0 0 1001 20003 4099 bpt=8192
model_copy 1001 20003 4099
# udev reads a disk that was open for writing.
is "$(sent 0 WRITE_)" 0 "no data was sent"
ok "in many commands" xcopy 0 0 0 16384 8192 bpt=100
model_copy 0 16384 8192
copied "copies"

# sg_xcopy does not show the additional sense code.
refused "a copy to another LUN is refused" 'Copy aborted' xcopy 0 1 0 0 8
refused "a copy from another LUN is refused" 'Copy aborted' xcopy 0 1 0 0 8 --on_src
refused "what overlaps is refused" 'Illegal request' xcopy 0 0 0 4 8
refused "beyond the end" 'Copy aborted' xcopy 0 0 0 $((128 * mib / 512 - 4)) 8
copied "what was refused"
is "$(head -c $mib "$(dev 1)" | tr -d '\0' | wc -c)" 0 "and nothing was written to the other LUN"

ok "the disk under LUN 0 freezes" freeze "${freezing[@]}"
xcopy 0 0 1000 12000 3000 bpt=3000 > "$TEST_DIR/frozen-copy.log" 2>&1 &
copying=$!
slowest=$(slowest_read 1)
note "the slowest answer of the healthy LUN: $slowest ms"
ok "the healthy LUN was always answered" test "$slowest" -lt 3500
ok "the copy was answered BUSY at its deadline" test "$(counted dm0 busy)" -gt 0
thaw
ok "the copy ends well" wait "$copying"
model_copy 1000 12000 3000
copied "after the thaw"
unlike "$(kernel_since)" 'detected conn error|[Dd]evice offlined' "the session stands"
is "$(kernel_complaints)" "" "the kernel has nothing to complain of"
