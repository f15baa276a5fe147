#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The lab of two gateways itself: each serves an image of one Ceph. While one of them stands still, is cut off or
# dies, the other serves, and what the first was asked for goes on when it is back. Not part of ci/e2e, because it
# needs three guests: make check-ceph.
# packages: ceph
# gateways: 2
# cpus: 2
# timeout: 900
. "$(dirname "$0")/gateways.sh"
[[ $BACKSTORE == ballast ]] || skip_all "images are served by Ballast"
plan 25

read_from() { bounded "$2" dd if="$(disk_at "$1")" of=/dev/null bs=4k count=1 skip="$((RANDOM % 1000))" iflag=direct status=none; }
# In the background, so that it is under way when the gateway is back.
begin_write() { # GATEWAY
    dd if=/dev/urandom of="$(disk_at "$1")" bs=64k count=4 oflag=direct conv=notrunc status=none 3>&- 8>&- &
    writer=$!
}
not_there() { ! timeout 5 bash -c '< /dev/tcp/10.78.0.1/3260' 2>&9; }
write_waits() { sleep 3 && ! gone "$writer"; }
write_ends() { wait_for 120 "the end of the write" gone "$writer" && wait "$writer"; }

ok "the gateways are up" gateways_up
ok "a Ceph that they reach" ceph_for_gateways
for gateway in a b; do
    ok "an image for $gateway" ceph_image "rbd/vol-$gateway" 64M
    ok "gateway $gateway serves it" serve_lun "$gateway" "vol-$gateway" 64M "rbd=rbd/vol-$gateway;conf=$CEPH_CONF"
    ok "a login at $gateway" login_at "$gateway"
    ok "its disk is read" read_from "$gateway" 20
done

for pair in "cut plug" "stop cont"; do
    read -r begin end <<< "$pair"
    ok "$begin: gateway a" trouble a "$begin"
    begin_write a
    ok "$begin: gateway b serves" read_from b 20
    ok "$begin: a write at a waits" write_waits
    ok "$end: gateway a" trouble a "$end"
    ok "$end: the write at a ends" write_ends
done

ok "kill: gateway a" trouble a kill
ok "kill: gateway b serves" read_from b 20
ok "kill: a is no longer heard of" not_there
ok "start: gateway a" trouble a start
ok "start: it comes up" gateway_up a
