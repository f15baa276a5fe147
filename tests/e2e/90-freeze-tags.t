#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A disk that has no tag left puts to sleep who submits to a file on it. That must not be a thread that
# answers commands: the LUNs on the disk see no error when it freezes, and the healthy one hardly notices.
# timeout: 400
. "$(dirname "$0")/stores.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; docs/one-slow-disk.md shows what others do"
keys="deadline=7s;slow=3s;stall_after=2s"
plan $((1 * ROW_ASSERTIONS))

freeze_stores 15 "$keys" "tags_ext4*2"
