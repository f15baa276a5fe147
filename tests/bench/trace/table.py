#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints where the time of one command goes, from the kernel's trace of one command after the other.

usage: table.py trace.FABRIC.TARGET.MODE...

A command's way has four trace points, and the next command begins it anew: the initiator sends
(scsi_dispatch_cmd_start), the target begins (target_sequencer_start), the target has the answer
(target_cmd_complete), the initiator has it (scsi_dispatch_cmd_done).
"""
import re
import statistics
import sys

POINTS = ["scsi_dispatch_cmd_start", "target_sequencer_start", "target_cmd_complete", "scsi_dispatch_cmd_done"]
PARTS = ["to the target", "target, TCMU and handler", "to the initiator", "until it sends the next", "all"]
LINE = re.compile(r"\s(\d+\.\d+): (\w+):")


def ways(path):
    """For each command that passed all points in order: the microseconds of each part."""
    seen = []
    for line in open(path, encoding="utf-8", errors="replace"):
        match = LINE.search(line)
        if not match or match[2] not in POINTS:
            continue
        at, point = float(match[1]) * 1e6, POINTS.index(match[2])
        if point == 0 and len(seen) == len(POINTS):
            yield [b - a for a, b in zip(seen, seen[1:] + [at])] + [at - seen[0]]
        seen = [at] if point == 0 else seen + [at] if point == len(seen) else []


def main(paths):
    print("| fabric | target | commands | " + " | ".join(PARTS) + " |")
    print("| --- | --- | ---: |" + " ---: |" * len(PARTS))
    for path in paths:
        _, fabric, target, mode = path.rsplit("/", 1)[-1].split(".")
        found = list(ways(path))
        if found:
            row = (f"{statistics.median(column):.0f}" for column in zip(*found))
            print(f"| {fabric} | {target}, {mode} | {len(found)} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
