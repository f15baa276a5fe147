#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the table of a benchmark: medians, spread, and ratios within the run.

usage: table.py RESULTS.tsv, lines of round, target, workload, operations per second.
"""
import statistics
import sys

MEANING = {
    "ramdisk": "LIO ramdisk",
    "fileio": "LIO fileio",
    "qcow": "stock user:qcow, raw file",
    "null": "Ballast null:",
    "file": "Ballast file:, direct",
    "buffered": "Ballast file:, buffered",
    "disk": "fio on the disk itself, O_DIRECT",
    "pagecache": "fio on a file itself, page cache",
}


def main(path):
    cells = {}
    for line in open(path, encoding="ascii"):
        _, target, workload, value = line.split("\t")
        cells.setdefault((target, workload), []).append(float(value))
    targets = list(dict.fromkeys(t for t, _ in cells))
    workloads = list(dict.fromkeys(w for _, w in cells))
    median = {key: statistics.median(values) for key, values in cells.items()}

    def table(title, cell):
        print(f"\n{title}\n")
        print("| target | " + " | ".join(workloads) + " |")
        print("| --- |" + " ---: |" * len(workloads))
        for target in targets:
            row = (cell(target, w) for w in workloads)
            print(f"| {MEANING.get(target, target)} | " + " | ".join(row) + " |")

    rounds = max(len(v) for v in cells.values())
    table(
        f"Operations per second, median of {rounds} interleaved rounds (lowest to highest)",
        lambda t, w: f"{median[t, w]:.0f} ({min(cells[t, w]):.0f}-{max(cells[t, w]):.0f})",
    )
    for base in ("qcow", "null"):
        if base in targets:
            table(
                f"Ratio to {MEANING[base]}",
                lambda t, w, base=base: f"{median[t, w] / median[base, w]:.2f}",
            )


main(sys.argv[1])
