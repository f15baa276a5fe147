#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs in the lab guest (make bench-many): makes one LUN after the other in one daemon, and says what they take.
#
#   MANY_LUNS    how many (1000)
#   MANY_CONFIG  the configuration string of each, {} is its number (file:/srv/many-{}.raw)
#   MANY_RING    MiB of each LUN's command ring; 0: the kernel's default, 8 (1)
here=$(dirname "$0")
# shellcheck source=tests/e2e/lib.sh
. "$here/../../e2e/lib.sh"
tap_planned=0
most=${MANY_LUNS:-1000}
config=${MANY_CONFIG:-"file:/srv/many-{\}.raw"}
ring=${MANY_RING:-1}
options=()
((ring == 0)) || options=("cmd_ring_size_mb=$ring")

of_daemon() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$daemon/$2"; }
row() { # LUNS
    printf '| %d | %d | %d | %d | %d | %d |\n' "$1" "$((SECONDS - begun))" "$(of_daemon Threads status)" \
        "$(find "/proc/$daemon/fd" -mindepth 1 2>&9 | wc -l)" "$(($(of_daemon Anonymous smaps_rollup) / 1024))" \
        "$((free - $(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)))"
}

fresh_daemon
daemon=$(pgrep -x tcmu-runner) || bail "no daemon"
free=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
begun=$SECONDS
echo "| LUNs | seconds | threads | descriptors | MiB of the daemon's own | MiB less in the guest |"
echo "| ---: | ---: | ---: | ---: | ---: | ---: |"
row 0
for ((number = 1; number <= most; number++)); do
    if ! make_lun "many$number" 16M "${config//\{\}/$number}" "${options[@]}"; then
        echo "LUN $number cannot be made:"
        tail -n 5 "$DAEMON_LOG"
        dmesg | tail -n 3
        break
    fi
    ((number != 1 && number % 100 != 0)) || row "$number"
done
