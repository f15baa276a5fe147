#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""table.py stores|caches FOLDER: a table of make bench-log-freeze, from what guest.sh left in the folder."""
import glob
import json
import re
import sys

NAMES = {
    "log": "Ballast with a write log",
    "plain": "Ballast without one",
    "writecache": "LIO `block` on dm-writecache",
    "bcache": "LIO `block` on bcache",
    "block": "LIO `block`",
}


def lines(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def length(seconds):
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def p99(values):
    values = sorted(values)
    return length(values[min(len(values) - 1, int(0.99 * len(values)))]) if values else "none"


class Row:
    def __init__(self, folder, number, kind, disk, session):
        self.folder, self.number, self.kind, self.disk, self.session = folder, number, kind, disk, session

    def answers(self):
        """(begun, ended, is a write) of each request, in seconds since 1970."""
        for path in glob.glob(f"{self.folder}/load-{self.number}-*_lat.*.log"):
            for line in lines(path):
                at, took, direction = line.split(",")[:3]
                yield int(at) / 1e3 - int(took) / 1e9, int(at) / 1e3, direction.strip() == "1"

    def longest_flush(self):
        text = "\n".join(lines(f"{self.folder}/load-{self.number}.json"))
        try:
            jobs = json.loads(text[text.index("{"):])["jobs"]
        except ValueError:
            return "none"
        return length(max(job["sync"]["lat_ns"]["max"] for job in jobs) / 1e9)

    def errors(self):
        """Requests that failed for good at the initiator."""
        minor = (ord(self.disk[2]) - ord("a")) * 16
        return sum(f"block_rq_error: 8,{minor} " in line for line in lines(f"{self.folder}/trace"))

    def resets(self):
        return sum(f" connection{self.session}:0: detected conn error" in line for line in lines(f"{self.folder}/kernel.log"))

    def offlined(self):
        states = [line.split("\t") for line in lines(f"{self.folder}/samples")]
        return any(s[1] == "state" and s[2] == self.disk and "offline" in s[3] for s in states)

    def wrong(self):
        files = (f"{self.folder}/load-{self.number}.err", f"{self.folder}/check-{self.number}.err")
        return sum(bool(re.search(r"^verify: bad|verify failed", line)) for path in files for line in lines(path))


class Run:
    """What guest.sh noted of the part in which the stores freeze; not whole: `thawed` is None."""

    def __init__(self, folder):
        self.meta = [line.split() for line in lines(f"{folder}/meta")]
        known = {words[0]: float(words[1]) for words in self.meta if words[0] in ("frozen", "thawed")}
        self.frozen, self.thawed = known.get("frozen"), known.get("thawed")
        self.rows = [Row(folder, *words[1:], *([""] * (5 - len(words)))) for words in self.meta if words[0] == "row"]


def stores(folder):
    run = Run(folder)
    meta, frozen, thawed = run.meta, run.frozen, run.thawed
    if thawed is None:
        return
    status = {(words[0], words[1]): words[2] for words in meta if words[0] in ("fio", "check")}
    print(f"\nThe stores frozen for {thawed - frozen:.0f} s\n")
    print("| | I/O errors | session resets | offlined | writes' p99, before → during | longest write | longest flush "
          "| wrong blocks | fio's end, check |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | --- |")
    for row in run.rows:
        writes = [(begun, ended) for begun, ended, write in row.answers() if write]
        early = [ended - begun for begun, ended in writes if frozen - 15 <= ended < frozen]
        late = [ended - begun for begun, ended in writes if ended >= frozen and begun <= thawed]
        print(f"| {NAMES[row.kind]} | {row.errors()} | {row.resets()} | {'yes' if row.offlined() else 'no'} "
              f"| {p99(early)} → {p99(late)} | {length(max(late, default=0))} | {row.longest_flush()} | {row.wrong()} "
              f"| {status.get(('fio', row.number), '?')}, {status.get(('check', row.number), '?')} |")


def caches(folder):
    if not glob.glob(f"{folder}/judged-*"):
        return
    print("\nThe disk of the cache lost\n")
    print("| | changes flushed | newest on the store | blocks written | of them old on the store | torn: older than the newest allows |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for kind in ("log", "writecache", "bcache"):
        words = " ".join(lines(f"{folder}/judged-{kind}")).split()
        said = dict(zip(words[::2], words[1::2]))
        if said:
            print(f"| {NAMES[kind]} | {said['flushed']} | {said['newest']} | {said['blocks']} | {said['old']} | {said['torn']} |")


if __name__ == "__main__":
    {"stores": stores, "caches": caches}[sys.argv[1]](sys.argv[2])
