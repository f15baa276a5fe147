#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what a freeze does to the requests of two LUNs: one panel a target, above each other.

usage: picture.py OUT.svg CELL CELL...     CELL: a folder that guest.sh left, drawn in this order

Each answer is a point: when it came, and how long it had taken, on a log scale. A LUN that gives no
answers has no points; a strip below says for each LUN where that is so.
"""
import math
import os
import sys

import cell as cells

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from svg import BLUE, FAINT, INK, ORANGE, RED, SHADE, Drawing

WIDTH, PANEL, STRIP = 920, 230, 34
LEFT, RIGHT, TOP, BETWEEN, BOTTOM = 62, 22, 54, 78, 56
FROZEN, HEALTHY, BAD = ORANGE, BLUE, RED
NAMES = {"block": "LIO, block backstore", "stock": "stock tcmu-runner, user:qcow", "ballast": "Ballast"}
LEAST, MOST = 1e-3, 1e3  # seconds
MARKS = (  # kind of event, colour, word
    ("timeout", "#777777", "SCSI timeouts"),
    ("abort", "#777777", "ABORT TASK"),
    ("reset", "#7b3294", "resets"),
    ("I/O error", BAD, "I/O errors"),
)


def span(seconds):
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


class Picture(Drawing):
    def __init__(self, runs):
        super().__init__()
        self.runs = runs
        self.first = -max(10, min(-r.begin for r in runs))
        self.last = max(self.thaw_and_after(r) for r in runs)
        self.height = TOP + 20 + len(runs) * (PANEL + STRIP) + (len(runs) - 1) * BETWEEN + BOTTOM

    @staticmethod
    def thaw_and_after(run):
        return max(run.thaw + 20, min(run.end, run.thaw + 60))

    def x(self, at):
        return LEFT + (at - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    @staticmethod
    def y(latency):
        share = math.log10(min(max(latency, LEAST), MOST) / LEAST) / math.log10(MOST / LEAST)
        return PANEL * (1 - share)

    def panel(self, run):
        x0, x1 = self.x(self.first), self.x(self.last)
        self.rect(self.x(0), 0, self.x(run.thaw) - self.x(0), PANEL + STRIP, SHADE)
        for exponent in range(-3, 4):
            at = self.y(10.0**exponent)
            self.line(x0, at, x1, at, FAINT)
            words = {-3: "1 ms", -2: "10 ms", -1: "100 ms", 0: "1 s", 1: "10 s", 2: "100 s", 3: ""}[exponent]
            self.text(x0 - 6, at + 4, words, 12, anchor="end")
        for at, words in ((0, "freeze"), (run.thaw, "thaw")):
            self.line(self.x(at), -4, self.x(at), PANEL + STRIP, INK, 1)
            self.text(self.x(at), -8, words, 12, anchor="middle")
        for lun in [*range(run.frozen), run.healthy]:
            places = [(self.x(a.at), self.y(a.latency)) for a in run.answers[lun] if self.first <= a.at <= self.last]
            self.points(places, HEALTHY if lun == run.healthy else FROZEN)
        self.events(run, x1)
        self.strip(run)
        self.line(x0, 0, x0, PANEL + STRIP, INK)
        self.line(x0, PANEL, x1, PANEL, INK)

    def events(self, run, x1):
        """Connection errors as lines with a word; what comes in crowds as ticks in a row of its own."""
        said = False
        for event in run.events:
            if event.kind in ("1021", "connection error") and 0 <= event.at <= self.last and not said:
                said = True
                at = self.x(event.at)
                self.line(at, 0, at, PANEL + STRIP, BAD, 1.5, "5 3")
                code = "1021" if event.kind == "1021" else event.text.split("(")[1].split(")")[0]
                # On the line's left, where no other line is: the thaw may follow soon.
                self.text(at - 5, 14, f"connection error {code}", 12, BAD, anchor="end", bold=True)
                self.text(at - 5, 29, f"after {span(event.at)}: the session is dropped", 12, BAD, anchor="end")
        row = 46
        for kind, colour, word in MARKS:
            times = sorted({round(self.x(e.at)) for e in run.events if e.kind == kind and 0 <= e.at <= self.last})
            if not times:
                continue
            first = next(e.at for e in run.events if e.kind == kind and e.at >= 0)
            self.add(f'<path d="{"".join(f"M{t} {row - 9}v10" for t in times)}" stroke="{colour}" stroke-width="2" fill="none"/>')
            side = self.x(first) - 6
            words = word if kind != "I/O error" else f"{word}: " + ", ".join(
                f"{run.count(kind, [lun])} on the {'healthy' if lun == run.healthy else 'frozen'}" for lun in run.luns)
            if side - LEFT > 8 * len(words):
                self.text(side, row, words, 12, colour, anchor="end", bold=kind == "I/O error")
            else:
                self.text(self.x(max(e.at for e in run.events if e.kind == kind)) + 6, row, words, 12, colour, bold=kind == "I/O error")
            row += 15

    def strip(self, run):
        """For each LUN: a bar while it gives answers, at least one in two seconds."""
        rows = [(range(run.frozen), FROZEN), ([run.healthy], HEALTHY)]
        for n, (luns, colour) in enumerate(rows):
            y = PANEL + 11 + n * 13
            times = sorted(a.at for lun in luns for a in run.answers[lun] if a.at >= self.first)
            begin = last = None
            for at in times + [float("inf")]:
                if begin is None:
                    begin = last = at
                elif at - last > 2:
                    end = min(last, self.last)
                    if begin <= self.last:
                        self.line(self.x(begin), y, max(self.x(end), self.x(begin) + 2), y, colour, 6)
                    begin = at
                last = at
        self.text(LEFT - 6, PANEL + 22, "answers", 12, anchor="end")

    def draw(self):
        freeze = self.runs[0]
        disk = "The disk under one LUN stops" if freeze.frozen == 1 else f"The disks under {freeze.frozen} LUNs stop"
        self.text(LEFT, 20, f"{disk} answering for {freeze.seconds} s; a healthy LUN in the same iSCSI session", 15, bold=True)
        for x, colour, words in ((LEFT, FROZEN, "frozen LUN"), (LEFT + 120, HEALTHY, "healthy LUN")):
            self.rect(x, 30, 12, 12, colour)
            self.text(x + 18, 41, words)
        self.text(WIDTH - RIGHT, 41, "latency of each answer, by when it came: seconds since the freeze", 12, anchor="end")
        for n, run in enumerate(self.runs):
            top = TOP + n * (PANEL + STRIP + BETWEEN) + 40
            self.add(f'<g transform="translate(0 {top})">')
            self.text(LEFT, -24, NAMES.get(run.meta["target"], run.meta["target"]), 14, bold=True)
            self.panel(run)
            step = 10 if self.last - self.first < 150 else 30 if self.last - self.first < 400 else 60
            for at in range(int(self.first / step) * step, int(self.last) + 1, step):
                self.line(self.x(at), PANEL + STRIP, self.x(at), PANEL + STRIP + 4, INK)
                self.text(self.x(at), PANEL + STRIP + 17, f"{at}" + (" s" if at == 0 else ""), 12, anchor="middle")
            self.add("</g>")


def main(out, folders):
    picture = Picture([cells.Cell(f) for f in folders])
    picture.draw()
    picture.save(out, WIDTH, picture.height)


main(sys.argv[1], sys.argv[2:])
