#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the tables of a benchmark: medians, spread, and ratios within the run.

usage: table.py RESULTS.tsv, lines of round, fabric, target, workload, operations per second; null
where a target cannot do that.
"""
import statistics
import sys

MEANING = {
    "ramdisk": "LIO ramdisk",
    "fileio": "LIO fileio",
    "block": "LIO block, loop device",
    "qcow": "stock user:qcow, raw file",
    "tgt": "tgt, file",
    "null": "Ballast null",
    "file": "Ballast file, direct",
    "buffered": "Ballast file, buffered",
    "disk": "fio on the disk itself, O_DIRECT",
    "pagecache": "fio on a file itself, page cache",
}
FABRICS = {"iscsi": "iSCSI", "loop": "tcm_loop"}


class Results:
    def __init__(self, path):
        self.cells = {}
        for line in open(path, encoding="ascii"):
            _, fabric, target, workload, value = line.strip().split("\t")
            if value != "null":
                self.cells.setdefault((fabric, target, workload), []).append(float(value))
        self.fabrics = list(dict.fromkeys(f for f, _, _ in self.cells))
        self.workloads = list(dict.fromkeys(w for _, _, w in self.cells))
        self.median = {key: statistics.median(values) for key, values in self.cells.items()}
        self.rounds = max(len(v) for v in self.cells.values())

    def targets(self, fabric):
        return list(dict.fromkeys(t for f, t, _ in self.cells if f == fabric))


def main(path):
    results = Results(path)

    def table(title, fabric, cell):
        targets = results.targets(fabric)
        print(f"\n{FABRICS[fabric]}: {title}\n")
        print("| workload | " + " | ".join(MEANING.get(t, t) for t in targets) + " |")
        print("| --- |" + " ---: |" * len(targets))
        for workload in results.workloads:
            row = (cell((fabric, t, workload)) if (fabric, t, workload) in results.cells else ""
                   for t in targets)
            print(f"| {workload} | " + " | ".join(row) + " |")

    for fabric in results.fabrics:
        table(
            f"operations per second, median of {results.rounds} interleaved rounds (lowest to highest)",
            fabric,
            lambda key: f"{results.median[key]:.0f} ({min(results.cells[key]):.0f}-{max(results.cells[key]):.0f})",
        )
        for base in ("qcow", "null"):
            if base in results.targets(fabric):
                table(
                    f"ratio to {MEANING[base]}",
                    fabric,
                    lambda key, base=base: ""
                    if (key[0], base, key[2]) not in results.median
                    else f"{results.median[key] / results.median[key[0], base, key[2]]:.2f}",
                )


if __name__ == "__main__":
    main(sys.argv[1])
