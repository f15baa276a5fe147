#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""table.py RESULTS...: for each family of tests, how many passed, failed and were skipped.

RESULTS: lines "target and block size<TAB>Family.Test<TAB>passed, failed or skipped"; a later line for the same
test takes the place of an earlier one.
"""
import sys
from collections import Counter

NAMES = {"ballast": "Ballast file", "fileio": "LIO fileio", "qcow": "stock user:qcow"}
verdict_of = {}
for path in sys.argv[1:]:
    with open(path, encoding="ascii") as lines:
        for line in lines:
            target, test, verdict = line.rstrip("\n").split("\t")
            verdict_of[target, test] = verdict

targets = list(dict.fromkeys(target for target, _ in verdict_of))
counts = Counter()
for (target, test), verdict in verdict_of.items():
    counts[target, test.split(".")[0], verdict] += 1
    counts[target, "all", verdict] += 1


def cell(target, family):
    passed, failed, skipped = (counts[target, family, verdict] for verdict in ("passed", "failed", "skipped"))
    return f"{passed} / {failed} / {skipped}" if passed + failed + skipped else ""


def title(target):
    name, block_size = target.split(" ")
    return f"{NAMES.get(name, 'stock user:' + name)}, {block_size}"


print("| family |", " | ".join(title(target) for target in targets), "|")
print("| --- |", " | ".join("---:" for _ in targets), "|")
for family in [*sorted({test.split(".")[0] for _, test in verdict_of}), "all"]:
    print(f"| {family} |", " | ".join(cell(target, family) for target in targets), "|")
