#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
FS=ext4 MKFS="mkfs.ext4 -q -E nodiscard" FSCK="fsck.ext4 -fn"
. "$(dirname "$0")/filesystem.sh"
