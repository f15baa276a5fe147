#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the results of a benchmark: one plot a workload, a bar a target, its quartiles as a line.

usage: picture.py RESULTS.tsv OUT.svg     (RESULTS.tsv as for table.py)
"""
import html
import sys

import table

COLUMNS, WIDTH, HEIGHT, GAP, TOP, LEFT = 3, 300, 22, 26, 78, 168
INK, OURS, OTHERS = "#222222", "#0072b2", "#999999"


class Picture:
    def __init__(self, results, fabric):
        self.results = results
        self.fabric = fabric
        self.targets = results.targets(fabric)
        self.parts = []

    def text(self, x, y, words, size=12, anchor="start", bold=False):
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{INK}" text-anchor="{anchor}"{weight}>'
                          f"{html.escape(words)}</text>")

    def bar(self, x, y, width, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{HEIGHT - 8}" fill="{colour}"/>')

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
            self.bar(x, top, middle * scale, OURS if target in ("null", "file", "buffered") else OTHERS)
            self.parts.append(f'<line x1="{x + low * scale:.1f}" x2="{x + high * scale:.1f}" y1="{top + 7}" '
                              f'y2="{top + 7}" stroke="{INK}"/>')
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
    top = 0
    parts = []
    for fabric in results.fabrics:
        picture = Picture(results, fabric)
        top = picture.draw(top)
        parts += picture.parts
    width = LEFT + COLUMNS * WIDTH
    with open(out, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" font-family="sans-serif">\n'
                   f'<rect width="{width}" height="{top}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
