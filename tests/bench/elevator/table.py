#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""table.py FOLDER ROW...: the table of make bench-elevator, from fio's results <disk>.<row>.<workload>.json."""
import json
import os
import sys

DISKS = ("fifo", "ncq")
NAMES = {
    "none": "the kernel, `none`",
    "mq-deadline": "the kernel, `mq-deadline`",
    "bfq": "the kernel, `bfq`",
    "off": "Ballast, `elevator=off`",
    "on": "Ballast, `elevator=on`",
}


class Cell:
    """What was measured of one disk through one row."""

    def __init__(self, folder, disk, row):
        self.place = os.path.join(folder, f"{disk}.{row}")
        reader = self.jobs("both")["reader"]["read"]
        with open(f"{self.place}.both.writes", encoding="utf-8") as file:
            number, microseconds = map(int, file.read().split())
        self.read_p99 = self.p99(reader)
        self.reads = reader["iops"]
        self.writes = number / (microseconds / 1e6)
        self.write_p99 = self.p99(self.jobs("both.writers")["writers"]["write"])
        self.writes_alone = self.jobs("writers")["writers"]["write"]["iops"]
        self.reads_alone = self.jobs("readers")["reader"]["read"]["iops"]

    def jobs(self, workload):
        with open(f"{self.place}.{workload}.json", encoding="utf-8") as file:
            text = file.read()
        return {job["jobname"]: job for job in json.loads(text[text.index("{"):])["jobs"]}

    @staticmethod
    def p99(side):
        return side["clat_ns"]["percentile"]["99.000000"] / 1e6


def cells(folder, rows):
    """Those that were measured to the end, by (disk, row)."""
    return {(disk, row): Cell(folder, disk, row) for disk in DISKS for row in rows
            if os.path.exists(os.path.join(folder, f"{disk}.{row}.readers.json"))}


def main(folder, *rows):
    print("| disk | through | beside 64 writes: read p99, ms | reads/s | writes/s | write p99, ms | writes alone/s | 32 reads alone/s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for (disk, row), cell in cells(folder, rows).items():
        print(f"| {disk.upper()} | {NAMES[row]} | {cell.read_p99:.0f} | {cell.reads:.1f} | {cell.writes:.0f} "
              f"| {cell.write_p99:.0f} | {cell.writes_alone:.0f} | {cell.reads_alone:.0f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
