#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
FS=xfs MKFS="mkfs.xfs -q -f" FSCK="xfs_repair -n"
. "$(dirname "$0")/filesystem.sh"
