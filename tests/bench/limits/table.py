#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""table.py FOLDER IOPS MIB: the table of make bench-limits, from the lines that fio wrote, one an answer:
<target>.<limit>.<round>_lat.1.log."""
import glob
import re
import statistics
import sys

WHAT = {
    "iops": ("{} requests/s", 4096),
    "iops-burst": ("{} requests/s, a burst of 1 s", 4096),
    "bandwidth": ("{} MiB/s", 65536),
    "bandwidth-burst": ("{} MiB/s, a burst of 1 s", 65536),
}
NAMES = {"ballast": "Ballast", "qemu": "qemu-storage-daemon"}
# What is judged, in seconds: not the burst at the beginning, and not the end, where fio looks once for all that is left.
BEGIN, END = 3, 13


def measure(path, limit):
    """(rate of those ten seconds by the limit, how many seconds' worth came in the first second)"""
    with open(path, encoding="ascii") as file:
        times = [int(line.split(",")[0]) / 1e3 for line in file]
    steady = sum(1 for at in times if BEGIN <= at < END) / (END - BEGIN)
    first = sum(1 for at in times if at < 1)
    return steady / limit, first / limit


def main(folder, iops, mib):
    print("\n| limit | | kept over 10 s, by the limit (lowest to highest) | in the first second, by the limit |")
    print("| --- | --- | ---: | ---: |")
    for name, (title, block) in WHAT.items():
        number = iops if name.startswith("iops") else mib
        limit = iops if name.startswith("iops") else mib * (1 << 20) / block
        for target, who in NAMES.items():
            found = [measure(path, limit) for path in sorted(glob.glob(f"{folder}/{target}.{name}.*_lat.1.log"))
                     if re.search(r"\.\d+_lat", path)]
            if found:
                steady = [one[0] for one in found]
                print(f"| {title.format(number)} | {who} | {statistics.median(steady):.3f} ({min(steady):.3f} to {max(steady):.3f}) "
                      f"| {statistics.median(one[1] for one in found):.2f} |")


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
