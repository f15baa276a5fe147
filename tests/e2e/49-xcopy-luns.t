#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# EXTENDED COPY from one LUN to another one of its copy_group: no data crosses the network. The LUN that is read freezes
# under a copy: nobody else is held up, and the copy ends well. After a restart of the daemon a LUN that nobody uses can
# be copied from.
# cpus: 2
# timeout: 240
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "the others have no groups"
plan 23
bus_policy

mib=$((1 << 20))
# xcopy FROM-BLOCK TO-BLOCK COUNT [OPTION...]: from LUN 0 to LUN 1.
xcopy() { bounded 120 sg_xcopy if="$(dev 0)" of="$(dev 1)" bs=512 skip="$1" seek="$2" count="$3" "${@:4}"; }
copied() { # FROM-BLOCK TO-BLOCK COUNT
    blockdev --flushbufs "$(dev 1)"
    cmp -n $(($3 * 512)) "$MODEL" "$(dev 1)" $(($1 * 512)) $(($2 * 512))
}
naa() { local wwid; wwid=$(< "/sys/block/$(basename "$(dev "$1")")/device/wwid") && echo "${wwid#naa.}"; }
# copy_raw COUNT: the blocks from 0 on, to block 0; sends nothing but that to LUN 1, and nothing to LUN 0.
copy_raw() {
    local list="00000040 00000000 0000001c 00000000" lun
    for lun in 0 1; do list+=" e4000000 01030010 ${naa[lun]} 00000000 00000200"; done
    printf -v list '%s 02000018 00000001 0000%04x %016x %016x' "$list" "$1" 0 0
    perl -e 'print pack "H*", $ARGV[0]' "${list// /}" > "$TEST_DIR/list"
    bounded 60 sg_raw -s 108 -i "$TEST_DIR/list" "$(dev 1)" 83 00 00 00 00 00 00 00 00 00 00 00 00 6c 00 00
}

ok "two LUNs of one group are logged in" frozen_luns 1 "deadline=4s;stall_after=2s;copy_group=g"
naa=("$(naa 0)" "$(naa 1)")
ok "16 MiB are written to the first" fill_random 0 $((16 * mib))
ok "copied to the second, in one command" traced xcopy 0 1001 16384 bpt=32768
# udev reads a disk that was open for writing.
is "$(sent 1 WRITE_)" 0 "no data was sent"
ok "and right there" copied 0 1001 16384
ok "in many commands" xcopy 3 40000 8191 bpt=100
ok "right as well" copied 3 40000 8191
ok "the first one is as it was" matches_model "$(dev 0)"
refused "what is sent to the LUN that is read is refused" 'Copy aborted' xcopy 0 0 8 --on_src
refused "beyond the end of the LUN that is read" 'Copy aborted' xcopy $((128 * mib / 512 - 4)) 0 8

stalls=$(counted dm1 stalls)
ok "the disk under the first LUN freezes" freeze "${freezing[@]}"
xcopy 1000 100000 3000 bpt=3000 > "$TEST_DIR/frozen-copy.log" 2>&1 &
copying=$!
waits_at_source() { "$LAB_BUILD/ballastctl" inflight dm1 --json | jq -e '[.luns[].commands[].stage] | index("source")'; }
ok "the copy waits for it, and is seen to" wait_for 10 "the stage" waits_at_source
slowest=$(slowest_read 1)
note "the slowest answer of the LUN that is written: $slowest ms"
ok "the LUN that is written was always answered" test "$slowest" -lt 3500
ok "the copy was answered BUSY at its deadline" test "$(counted dm1 busy)" -gt 0
# A slow machine may have stalled it.
ok "and has not stalled its LUN" test "$(counted dm1 stalls)" = "$stalls" -o "$slowest" -ge 1500
thaw
ok "the copy ends well" wait "$copying"
ok "and is right" copied 1000 100000 3000

ok "the daemon stops" bounded 60 systemctl stop tcmu-runner.service
ok "and starts" start_daemon
ok "a LUN that nobody uses can be copied from" wait_for 30 "the other LUN's offer" copy_raw 5000
ok "and the copy is right" copied 0 0 5000
unlike "$(kernel_since)" 'detected conn error|[Dd]evice offlined' "the session stands"
is "$(kernel_complaints)" "" "the kernel has nothing to complain of"
