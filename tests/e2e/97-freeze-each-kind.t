#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each kind of store freezes by itself for 75 s, under LUNs with default limits: longer than anybody's
# default but Linux's belief in BUSY. With BALLAST_LONG=1; E2E_STORES: which ("tags_ext4*2 nbd").
# packages: ceph
# cpus: 2
# timeout: 7200
. "$(dirname "$0")/stores.sh"
[[ $BACKSTORE == ballast ]] || skip_all "deadlines are ours; docs/one-slow-disk.md shows what others do"
[[ -n ${BALLAST_LONG-} ]] || skip_all "BALLAST_LONG=1 runs it: about 3 minutes for each kind"

stores=(tags_ext4\*2 tags_xfs\*2 tags_raw fsfreeze sparse flush buffered fuse fuse_stop nbd thin rbd_stop rbd_kill rbd_cut)
[[ -z ${E2E_STORES-} ]] || read -ra stores <<< "$E2E_STORES"
plan $((${#stores[@]} * ROW_ASSERTIONS))
# As many requests as a SATA disk takes, and a full queue of each LUN.
TAGS=31
# One of them has the trouble, the healthy LUN's image is on the other.
CEPH_OSDS=2
FROZEN_LOAD=(20 4 16)
for store in "${stores[@]}"; do freeze_stores 75 "" "$store"; done
