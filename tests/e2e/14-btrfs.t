#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
FS=btrfs MKFS="mkfs.btrfs -q -f -K" FSCK="btrfs check"
. "$(dirname "$0")/filesystem.sh"
