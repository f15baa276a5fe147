#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the writes of make bench-log-freeze, whose stores froze: one panel a row, below each other.

usage: picture.py FOLDER OUT.svg

Each write is a point: when it was answered, and how long it had taken, on a log scale. A bar below
says where writes were answered, at least one in two seconds.
"""
import math
import os
import sys

import table

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from svg import BLUE, FAINT, INK, ORANGE, SHADE, Drawing

WIDTH, PANEL, STRIP, BETWEEN, LEFT, RIGHT, TOP = 920, 110, 16, 44, 62, 22, 84
LEAST, MOST = 1e-3, 1e3  # seconds
MARKS = ((1e-3, "1 ms"), (1e-2, ""), (1e-1, "100 ms"), (1, ""), (10, "10 s"), (100, ""))
BEFORE, AFTER = 20, 30


class Picture(Drawing):
    def __init__(self, run):
        super().__init__()
        self.run = run
        self.thaw = run.thawed - run.frozen
        self.first, self.last = -BEFORE, self.thaw + AFTER
        self.height = TOP + len(run.rows) * (PANEL + STRIP + BETWEEN) + 10

    def x(self, at):
        return LEFT + (at - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    @staticmethod
    def y(latency):
        return PANEL * (1 - math.log10(min(max(latency, LEAST), MOST) / LEAST) / math.log10(MOST / LEAST))

    def panel(self, top, row):
        colour = BLUE if row.kind in ("log", "plain") else ORANGE
        answers = [(ended - self.run.frozen, ended - begun) for begun, ended, write in row.answers() if write]
        answers = sorted((at, took) for at, took in answers if self.first <= at <= self.last)
        self.text(LEFT, top - 8, table.NAMES[row.kind].replace("`", ""), bold=True)
        self.text(WIDTH - RIGHT, top - 8, f"longest flush {row.longest_flush()}", size=12, anchor="end")
        self.rect(self.x(0), top, self.x(self.thaw) - self.x(0), PANEL + STRIP, SHADE)
        for latency, words in MARKS:
            self.line(self.x(self.first), top + self.y(latency), self.x(self.last), top + self.y(latency), FAINT)
            self.text(LEFT - 6, top + self.y(latency) + 4, words, 11, anchor="end")
        self.points([(self.x(at), top + self.y(took)) for at, took in answers], colour)
        begin = last = None
        for at in [at for at, _ in answers] + [math.inf]:
            if begin is not None and at - last > 2:
                self.line(self.x(begin), top + PANEL + 9, max(self.x(last), self.x(begin) + 2), top + PANEL + 9, colour, 6)
                begin = None
            begin, last = (at if begin is None else begin), at
        self.line(LEFT, top + PANEL, WIDTH - RIGHT, top + PANEL, INK)
        self.line(LEFT, top, LEFT, top + PANEL + STRIP, INK)

    def draw(self):
        self.text(LEFT, 22, f"The disks under five LUNs stop answering for {self.thaw:.0f} s; those of the log and of the caches do not", 15, bold=True)
        self.text(LEFT, 42, "latency of each write, by when it was answered: seconds since the freeze; a bar where writes were answered", 12)
        for number, row in enumerate(self.run.rows):
            top = TOP + number * (PANEL + STRIP + BETWEEN)
            self.panel(top, row)
            step = 10 if self.last < 100 else 30 if self.last < 300 else 60
            for at in range(math.ceil(self.first / step) * step, int(self.last) + 1, step):
                self.line(self.x(at), top + PANEL + STRIP, self.x(at), top + PANEL + STRIP + 4, INK)
                self.text(self.x(at), top + PANEL + STRIP + 16, f"{at}" + (" s" if at == 0 else ""), 11, anchor="middle")


def main(folder, out):
    run = table.Run(folder)
    if run.thawed is None:
        sys.exit(f"{folder} has no whole run")
    picture = Picture(run)
    picture.draw()
    picture.save(out, WIDTH, picture.height)


main(*sys.argv[1:])
