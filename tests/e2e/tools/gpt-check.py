#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks both GUID partition tables of a disk or image, checksums and all (UEFI 2.10, chapter 5).

usage: gpt-check.py PATH SIZE BLOCK     SIZE and BLOCK in bytes
Prints "sound", or what is wrong; exit status 0 or 1.
"""
import struct
import sys
import zlib


class Wrong(Exception):
    pass


def read(disk, block, lba, count=1):
    disk.seek(lba * block)
    return disk.read(count * block)


def header(disk, block, lba, name):
    raw = read(disk, block, lba)
    fields = struct.unpack_from("<8sIIIIQQQQ16sQIII", raw)
    signature, _, size, crc, _, mine, other = fields[:7]
    first, last, guid, entries_lba, count, entry_size, entries_crc = fields[7:]
    if signature != b"EFI PART":
        raise Wrong(f"{name} header at LBA {lba}: no signature, but {signature!r}")
    zeroed = raw[:16] + b"\0\0\0\0" + raw[20:size]
    if zlib.crc32(zeroed) != crc:
        raise Wrong(f"{name} header: checksum")
    if mine != lba:
        raise Wrong(f"{name} header at LBA {lba} says that it is at {mine}")
    length = count * entry_size
    entries = read(disk, block, entries_lba, -(-length // block))[:length]
    if zlib.crc32(entries) != entries_crc:
        raise Wrong(f"{name} entries at LBA {entries_lba}: checksum")
    return other, (first, last, guid, count, entry_size, entries)


def check(path, size, block):
    last_lba = size // block - 1
    with open(path, "rb") as disk:
        backup_lba, primary = header(disk, block, 1, "primary")
        if backup_lba != last_lba:
            raise Wrong(f"the backup is said to be at LBA {backup_lba}, the disk ends at {last_lba}")
        primary_lba, backup = header(disk, block, last_lba, "backup")
        if primary_lba != 1:
            raise Wrong(f"the backup says that the primary is at LBA {primary_lba}")
        if primary != backup:
            raise Wrong("the two tables differ")


try:
    check(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
except Wrong as wrong:
    print(wrong)
    sys.exit(1)
print("sound")
