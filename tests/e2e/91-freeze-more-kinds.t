#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# As 90-freeze-kinds.t, for the other kinds: they freeze at once, each under LUNs of one session. Nobody sees an error, no
# thread of the daemon waits for a store, and the healthy LUN in their midst is answered all the time.
# cpus: 2
# timeout: 420
. "$(dirname "$0")/stores.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; docs/one-slow-disk.md shows what others do"
[[ -n ${BALLAST_LONG-} ]] || skip_all "needs five minutes: BALLAST_LONG=1"
plan "$ROW_ASSERTIONS"

freeze_stores 15 "deadline=7s;slow=3s;stall_after=2s" "tags_xfs*2" flush buffered nbd thin fuse_stop
