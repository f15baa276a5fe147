#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what make bench-elevator measured: one plot a figure, a bar a scheduler, for each disk.

usage: picture.py OUT.svg FOLDER ROW...
"""
import os
import sys

import table

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from svg import BLUE, GREY, Drawing

LEFT, WIDTH, BAR, TOP, BETWEEN = 190, 215, 22, 84, 66
DISKS = {"fifo": "A disk that takes requests in the order of their arrival", "ncq": "A disk with a queue of its own (NCQ)"}
FIGURES = (
    ("read_p99", "read p99, ms: less is better"),
    ("reads", "reads/s"),
    ("writes", "writes/s beside the reader"),
    ("writes_alone", "writes/s without a reader"),
)


def main(out, folder, *rows):
    cells = table.cells(folder, rows)
    drawing = Drawing()
    drawing.text(20, 26, "One reader beside 64 writes on a disk that rotates", size=15, bold=True)
    top = TOP
    for disk in (d for d in DISKS if any(d == of for of, _ in cells)):
        measured = [(row, cells[disk, row]) for row in rows if (disk, row) in cells]
        drawing.text(20, top - 30, DISKS[disk], bold=True)
        for column, (figure, title) in enumerate(FIGURES):
            x = LEFT + column * WIDTH
            most = max(getattr(cell, figure) for _, cell in measured)
            drawing.text(x, top - 8, title, size=12)
            for number, (row, cell) in enumerate(measured):
                y = top + number * BAR
                value = getattr(cell, figure)
                if column == 0:
                    drawing.text(x - 8, y + 12, table.NAMES[row].replace("`", ""), size=12, anchor="end")
                drawing.rect(x, y, max(1, value / most * (WIDTH - 70)), BAR - 8, BLUE if row in ("on", "off") else GREY)
                drawing.text(x + value / most * (WIDTH - 70) + 5, y + 12, f"{value:.0f}" if value >= 10 else f"{value:.1f}", size=11)
        top += len(measured) * BAR + BETWEEN
    drawing.save(out, LEFT + len(FIGURES) * WIDTH, top - 30)


main(*sys.argv[1:])
