#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the tables of a benchmark: medians, spread, and ratios within the run.

usage: table.py RESULTS.tsv, lines of round, fabric, target, workload, operations per second; null
where a target cannot do that.

A ratio is the median of the rounds' ratios: the two turns of one round are neighbours in time. With
it comes where the true median lies with a probability of 95 %, from the order of the ratios alone
(binomial); with fewer than six rounds that is from the lowest to the highest.
"""
import math
import re
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
    "user-rbd": "stock user:rbd",
    "rbd": "Ballast rbd",
    "disk": "fio on the disk itself, O_DIRECT",
    "pagecache": "fio on a file itself, page cache",
}
FABRICS = {"iscsi": "iSCSI", "loop": "tcm_loop"}
OURS = ("file", "buffered")


def title(workload):
    """What a person calls a workload of guest.sh."""
    if match := re.fullmatch(r"(read|write|mix)-4k-qd(\d+)", workload):
        kind = {"read": "reads", "write": "writes", "mix": "reads + writes"}[match[1]]
        return f"4 KiB {kind}, {match[2]} at once"
    if match := re.fullmatch(r"seq(read|write)-(\d+)([km])", workload):
        return f"{match[2]} {match[3].upper()}iB {match[1]}s in sequence"
    return {"unmap-1m": "UNMAP of 1 MiB", "zero-1280k": "zeroing 1280 KiB (WRITE SAME)"}.get(workload, workload)


class Results:
    def __init__(self, path):
        self.cells = {}
        for line in open(path, encoding="ascii"):
            number, fabric, target, workload, value = line.strip().split("\t")
            if value != "null":
                self.cells.setdefault((fabric, target, workload), {})[int(number)] = float(value)
        self.fabrics = list(dict.fromkeys(f for f, _, _ in self.cells))
        self.workloads = list(dict.fromkeys(w for _, _, w in self.cells))
        self.rounds = max(len(v) for v in self.cells.values())

    def targets(self, fabric):
        present = {t for f, t, _ in self.cells if f == fabric}
        return [t for t in MEANING if t in present]

    def rate(self, key):
        """Operations per second: lower quartile, median, upper quartile."""
        values = list(self.cells[key].values())
        return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3

    def ratio(self, key, base):
        """To target BASE: low end of the interval, median, high end; None without rounds in common."""
        mine, others = self.cells.get(key, {}), self.cells.get((key[0], base, key[2]), {})
        ratios = sorted(mine[n] / others[n] for n in mine.keys() & others.keys() if others[n])
        if not ratios:
            return None
        rank = max(0, math.floor(len(ratios) / 2 - 0.98 * math.sqrt(len(ratios))))
        return ratios[rank], statistics.median(ratios), ratios[-1 - rank]


def main(path):
    results = Results(path)

    def table(title, fabric, cell):
        targets = results.targets(fabric)
        print(f"\n{FABRICS[fabric]}: {title}\n")
        print("| workload | " + " | ".join(MEANING[t] for t in targets) + " |")
        print("| --- |" + " ---: |" * len(targets))
        for workload in results.workloads:
            row = (cell((fabric, t, workload)) if (fabric, t, workload) in results.cells else ""
                   for t in targets)
            print(f"| {workload} | " + " | ".join(row) + " |")

    def summary(fabric, base):
        print(f"\n{FABRICS[fabric]}: commands per second, times those of {MEANING[base]} (95 % interval)\n")
        print("| | " + " | ".join(MEANING[t] for t in OURS) + " |")
        print("| --- |" + " ---: |" * len(OURS))
        for workload in results.workloads:
            print(f"| {title(workload)} | " + " | ".join(ratio((fabric, t, workload), base) for t in OURS) + " |")

    def rate(key):
        low, middle, high = results.rate(key)
        return f"{middle:.0f} ({low:.0f}-{high:.0f})"

    def ratio(key, base):
        if key[1] == base:
            return "1"
        found = results.ratio(key, base)
        return "" if found is None else f"{found[1]:.2f} ({found[0]:.2f}-{found[2]:.2f})"

    for fabric in results.fabrics:
        table(f"operations per second, median of {results.rounds} rounds (quartiles)", fabric, rate)
        for base in ("qcow", "user-rbd", "null"):
            if base in results.targets(fabric):
                table(f"ratio to {MEANING[base]} (95 % interval)", fabric, lambda key, base=base: ratio(key, base))
        if {"qcow", *OURS} <= set(results.targets(fabric)):
            summary(fabric, "qcow")


if __name__ == "__main__":
    main(sys.argv[1])
