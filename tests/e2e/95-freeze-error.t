#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A disk is frozen, then fails everything that it had, and works again. The LUN on it has errors, the
# healthy one has none, the daemon lives, and afterwards the LUN works.
# cpus: 2
# timeout: 420
. "$(dirname "$0")/stores.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; docs/one-slow-disk.md shows what others do"
[[ -n ${BALLAST_LONG-} ]] || skip_all "needs three minutes: BALLAST_LONG=1"
plan 15

disk() { # NAME TARGET [ARGUMENT...]: the whole of it
    local sectors
    sectors=$(blockdev --getsz "/dev/mapper/$1")
    dmsetup load "$1" --table "0 $sectors ${*:2}" && dmsetup resume --noudevsync "$1"
}
errors_of() { kernel_since | grep -oE '(I/O|medium) error, dev sd[a-z]+' | awk '{print $NF}' | sort -u; }

row_begin 12 "deadline=6s;slow=3s;stall_after=2s" flush
before=$(daemon_pid)
frozen_disk=$(basename "$(dev 0)")
sleep 9
ok "the disk fails what it has" disk s1 error
sleep 2
dmsetup suspend --noflush --nolockfs s1
ok "and works again" disk s1 linear "${dm_loop[s1]} 0"
end_all 90
is "$(failed_luns)" 0 "the load on it ends in an error, no other"
watch_end
threads_end
is "$(errors_of)" "$frozen_disk" "only its disk had errors"
unlike "$(kernel_since)" 'detected conn error|offlined' "no connection error, no disk offlined"
is "$(kernel_complaints)" "" "the kernel has nothing to complain of"
is "$(stuck)" "" "no thread of target or initiator was stuck"
is "$(daemon_pid)" "$before" "the daemon is the same"
is "$(threads_stuck)" "" "no thread of it slept that must not"
ok "the LUN works: it takes new blocks and gives them back" eval 'load_fill 0 ${FROZEN_LOAD[*]} && load_check 0'
row_over
ok "all is let go" stores_remove
