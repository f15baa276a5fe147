#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the table of the freeze matrix, in Markdown.

usage: table.py [--line | --log] RESULTS...

RESULTS are folders of run.sh, or single cells. --line: a sentence each. --log: what the kernel and
tcmu-runner said, by seconds since the freeze.
"""
import sys

import cell as cells

MEANING = {"block": "LIO `block`", "fileio": "LIO `fileio`", "stock": "tcmu-runner `user:qcow`", "patient": "the same, cmd_time_out 0", "ballast": "Ballast"}
COLUMNS = (
    ("target", "---"),
    ("store", "---"),
    ("frozen", "---:"),
    ("1021 after", "---:"),
    ("I/O errors on the frozen", "---:"),
    ("on the healthy", "---:"),
    ("disks offlined", "---:"),
    ("threads in D", "---:"),
    ("healthy: p99", "---:"),
    ("longest gap", "---:"),
    ("thaw to last answer", "---:"),
    ("verify errors", "---:"),
    ("queue_depth", "---:"),
)


def target_of(cell):
    if cell.meta["target"] == "stock" and cell.meta.get("store", "").startswith("rbd"):
        return "tcmu-runner `user:rbd`"
    return MEANING.get(cell.meta["target"], cell.meta["target"])


def short(seconds):
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def change(before, during):
    return f"{short(before)} → {short(during)}"


def frozen_answer(cell):
    """Those of a LUN whose load had ended in an error never came."""
    dead = [lun for lun in range(cell.frozen) if cell.status(lun) != "0"]
    if len(dead) == cell.frozen:
        return "failed"
    return short(cell.in_flight_over()) + (f" ({len(dead)} failed)" if dead else "")


def row(cell):
    frozen = range(cell.frozen)
    threads, seconds, _ = cell.stuck()
    depths = sorted({cell.meta[f"depth_after{lun}"] for lun in frozen}, key=str)
    # Until the healthy LUN should have been answered again at the latest.
    over = cell.thaw if cell.status(cell.healthy) == "0" else cell.end
    return (
        target_of(cell),
        cell.meta.get("store", "dm"),
        f"{cell.frozen} for {cell.seconds} s",
        short(cell.first("1021")) if cell.first("1021") else "no",
        str(cell.count("I/O error", frozen)),
        str(cell.count("I/O error", [cell.healthy])),
        str(len(cell.offlined())),
        f"{threads}, {seconds} s" if threads else "0",
        change(cell.p99(cell.healthy, cell.begin, 0), cell.p99(cell.healthy, 0, max(over, cell.end))),
        change(cell.gap(cell.healthy, cell.begin, 0), cell.gap(cell.healthy, 0, over)),
        frozen_answer(cell),
        str(cell.verify_errors()),
        "/".join(depths),
    )


def main(arguments):
    if arguments[0] == "--log":
        for name, cell in cells.load(arguments[1:]).items():
            print(f"{name}:")
            for at, text in cell.words():
                print(f"[{at:7.1f}] {text}")
        return
    if arguments[0] == "--line":
        for name, cell in cells.load(arguments[1:]).items():
            print(f"  {name}: " + "; ".join(f"{c[0]} {value}" for c, value in list(zip(COLUMNS, row(cell)))[3:]))
        return
    found = sorted(
        cells.load(arguments).values(),
        key=lambda c: (c.meta["initiator"], c.meta.get("store", ""), list(MEANING).index(c.meta["target"]), c.frozen, c.seconds),
    )
    titles = {
        "default": "Initiator as it comes (abort_timeout 15 s, replacement_timeout 120 s)",
        "tuned": "Initiator after ballastctl tune for that long",
        "short": "Initiator with abort_timeout 4 s, replacement_timeout 3 s",
    }
    for initiator, title in titles.items():
        rows = [row(c) for c in found if c.meta["initiator"] == initiator]
        if rows:
            print(f"\n{title}\n")
            print("| " + " | ".join(c[0] for c in COLUMNS) + " |")
            print("| " + " | ".join(c[1] for c in COLUMNS) + " |")
            for line in rows:
                print("| " + " | ".join(line) + " |")


main(sys.argv[1:])
