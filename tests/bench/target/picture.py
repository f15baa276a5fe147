#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the results of a benchmark: one plot a workload, a bar a target, its quartiles as a line.

usage: picture.py RESULTS.tsv OUT.svg     (RESULTS.tsv as for table.py)
"""
import os
import sys

import table

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from svg import BLUE, GREY, INK, Drawing

COLUMNS, WIDTH, HEIGHT, GAP, TOP, LEFT = 3, 300, 22, 26, 78, 168


class Picture:
    def __init__(self, drawing, results, fabric):
        self.drawing = drawing
        self.results = results
        self.fabric = fabric
        self.targets = results.targets(fabric)

    def text(self, x, y, words, size=12, anchor="start", bold=False):
        self.drawing.text(x, y, words, size=size, anchor=anchor, bold=bold)

    def plot(self, x, y, workload, named):
        cells = self.results.cells
        most = max(self.results.rate((self.fabric, t, workload))[2] for t in self.targets
                   if (self.fabric, t, workload) in cells)
        self.text(x, y - 8, f"{table.title(workload)}, to {most:.0f}/s", bold=True)
        for number, target in enumerate(self.targets):
            top = y + number * HEIGHT
            if named:
                self.text(x - 8, top + 12, table.MEANING[target], anchor="end")
            if (self.fabric, target, workload) not in cells:
                self.text(x + 2, top + 12, "cannot", size=11)
                continue
            scale = (WIDTH - 40) / most
            low, middle, high = self.results.rate((self.fabric, target, workload))
            ours = target in ("null", "file", "buffered")
            self.drawing.rect(x, top, middle * scale, HEIGHT - 8, BLUE if ours else GREY)
            self.drawing.line(x + low * scale, top + 7, x + high * scale, top + 7, INK)
            self.text(x + high * scale + 4, top + 12, f"{middle:.0f}", size=11)

    def rows(self):
        return (len(self.results.workloads) + COLUMNS - 1) // COLUMNS

    def block(self):
        return len(self.targets) * HEIGHT + GAP + 14

    def draw(self, top):
        self.text(LEFT, top + 30, f"Operations per second over {table.FABRICS[self.fabric]}: median of "
                  f"{self.results.rounds} rounds, quartiles", size=15, bold=True)
        for number, workload in enumerate(self.results.workloads):
            if any((self.fabric, t, workload) in self.results.cells for t in self.targets):
                column = number % COLUMNS
                self.plot(LEFT + column * WIDTH, top + TOP + number // COLUMNS * self.block(), workload, column == 0)
        return top + TOP + self.rows() * self.block()


def main(source, out):
    results = table.Results(source)
    drawing = Drawing()
    top = 0
    for fabric in results.fabrics:
        top = Picture(drawing, results, fabric).draw(top)
    drawing.save(out, LEFT + COLUMNS * WIDTH, top)


if __name__ == "__main__":
    main(*sys.argv[1:])
