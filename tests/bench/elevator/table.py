#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# table.py FOLDER ROW...: the table of make bench-elevator, from fio's results <disk>.<row>.<workload>.json.
import json
import os
import sys

folder, rows = sys.argv[1], sys.argv[2:]
NAMES = {
    "none": "the kernel, `none`",
    "mq-deadline": "the kernel, `mq-deadline`",
    "bfq": "the kernel, `bfq`",
    "off": "Ballast, `elevator=off`",
    "on": "Ballast, `elevator=on`",
}


def jobs(disk, row, workload):
    with open(os.path.join(folder, f"{disk}.{row}.{workload}.json")) as file:
        text = file.read()
    return {job["jobname"]: job for job in json.loads(text[text.index("{"):])["jobs"]}


def p99(job, kind):
    return job[kind]["clat_ns"]["percentile"]["99.000000"] / 1e6


print("| disk | through | beside 64 writes: read p99, ms | reads/s | writes/s | write p99, ms | writes alone/s | 32 reads alone/s |")
print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
for disk in ("fifo", "ncq"):
    for row in rows:
        if not os.path.exists(os.path.join(folder, f"{disk}.{row}.readers.json")):
            continue
        reader = jobs(disk, row, "both")["reader"]["read"]
        with open(os.path.join(folder, f"{disk}.{row}.both.writes")) as file:
            number, microseconds = map(int, file.read().split())
            writes = number / (microseconds / 1e6)
        beside = jobs(disk, row, "both.writers")["writers"]
        writers = jobs(disk, row, "writers")["writers"]
        readers = jobs(disk, row, "readers")["reader"]
        print(f"| {disk.upper()} | {NAMES[row]} | {p99({'read': reader}, 'read'):.0f} | {reader['iops']:.1f} "
              f"| {writes:.0f} | {p99(beside, 'write'):.0f} "
              f"| {writers['write']['iops']:.0f} | {readers['read']['iops']:.0f} |")
