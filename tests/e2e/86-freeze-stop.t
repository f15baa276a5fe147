#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ten LUNs on one frozen disk, all with commands under way, and the daemon is told to stop: it closes
# them side by side. The next daemon takes them over, and nobody sees an error.
# cpus: 2
# timeout: 240
. "$(dirname "$0")/freeze.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; make bench-freeze shows what others do"
plan 9

count=10
ok "ten LUNs, and a healthy one" frozen_luns $count ""
write_all() {
    local n
    writers=()
    for ((n = 0; n < count; n++)); do
        dd if=/dev/urandom of="$(dev $n)" bs=64k count=32 oflag=direct conv=notrunc status=none 3>&- 2>&9 &
        writers+=($!)
    done
}
freeze "${freezing[@]}"
write_all
sleep 2
took 60 systemctl stop tcmu-runner.service
is "$status" 0 "the daemon stops during the freeze"
note "stopping: $seconds s"
ok "within 30 s" test "$seconds" -le $((30 * ${LAB_SLOW:-1}))
thaw
ok "the next one starts" start_daemon
ok "the writers end" eval 'for pid in "${writers[@]}"; do wait_for 90 "a writer" gone "$pid" || exit 1; done'
failed=0
for pid in "${writers[@]}"; do wait "$pid" || failed=$((failed + 1)); done
is "$failed" 0 "without an error"
ok "the healthy LUN works" bounded 20 dd if=/dev/zero of="$(dev $count)" bs=64k count=1 oflag=direct status=none
said=$(kernel_since)
unlike "$said" 'detected conn error|I/O error|[Dd]evice offlined' "the kernel has seen no error"
is "$(kernel_complaints)" "" "and has nothing to complain of"
