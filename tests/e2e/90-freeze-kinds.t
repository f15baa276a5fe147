#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Stores of several kinds freeze at once, each under LUNs of one session. Nobody sees an error, no
# thread of the daemon waits for a store, and the healthy LUN in their midst is answered all the time.
# cpus: 2
# timeout: 420
. "$(dirname "$0")/stores.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; docs/one-slow-disk.md shows what others do"
plan "$ROW_ASSERTIONS"

freeze_stores 15 "deadline=7s;slow=3s;stall_after=2s" "tags_ext4*2" tags_raw fsfreeze sparse fuse
