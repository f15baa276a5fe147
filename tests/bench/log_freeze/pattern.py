#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Numbered changes on a disk, and what of them a store has.

usage: pattern.py write DISK RECORD        until it fails or is killed
       pattern.py judge STORE RECORD OFFSET

Change N fills the 4 KiB block place(N) with the number N. After each GROUP changes the disk is flushed, and
when the flush is over the record gets the number: all up to it survive a power failure.

judge looks for the newest change that the store has. All changes that were flushed before it was written must
be there as well, or newer ones of the same block: else the store is in a state that the disk never had, which
no power failure can leave. It prints a line of names and values.
"""
import mmap
import os
import random
import struct
import sys

GROUP = 8
BLOCK = 4096
BLOCKS = 8192


def places():
    lot = random.Random(1)
    while True:
        yield lot.randrange(BLOCKS)


def write(path, record):
    disk = os.open(path, os.O_RDWR | os.O_DIRECT)
    buffer = mmap.mmap(-1, BLOCK)
    with open(record, "w", encoding="ascii", buffering=1) as flushed:
        for number, place in enumerate(places(), 1):
            buffer[:] = struct.pack("<Q", number) * (BLOCK // 8)
            os.pwrite(disk, buffer, place * BLOCK)
            if number % GROUP == 0:
                os.fsync(disk)
                flushed.write(f"{number}\n")


def found_on(path, offset):
    disk = os.open(path, os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, BLOCK)
    found = []
    for block in range(BLOCKS):
        os.preadv(disk, [buffer], offset + block * BLOCK)
        numbers = set(struct.unpack(f"<{BLOCK // 8}Q", buffer[:]))
        found.append(numbers.pop() if len(numbers) == 1 else -1)
    return found


def newest_upto(last):
    newest = [0] * BLOCKS
    for number, place in zip(range(1, last + 1), places()):
        newest[place] = number
    return newest


def judge(path, record, offset):
    with open(record, encoding="ascii") as file:
        flushed = int(file.read().split()[-1])
    found = found_on(path, offset)
    newest = max(found)
    there_before = newest_upto(max(0, (newest - 1) // GROUP * GROUP))
    wanted = newest_upto(flushed)
    torn = sum(have < must for have, must in zip(found, there_before))
    old = sum(have < must for have, must in zip(found, wanted))
    print(f"flushed {flushed} newest {newest} blocks {sum(n > 0 for n in wanted)} old {old} torn {torn} broken {found.count(-1)}")


if sys.argv[1] == "write":
    write(sys.argv[2], sys.argv[3])
else:
    judge(sys.argv[2], sys.argv[3], int(sys.argv[4]))
