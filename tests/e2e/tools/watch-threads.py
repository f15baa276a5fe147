#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Watches the daemon's threads, four times a second, for those that sleep in D state.

usage: watch-threads.py FILE

A thread that answers commands, or that another thread waits for, must not sleep until its store
answers. Threads that may are designated: their names begin with one of DESIGNATED. FILE gets a line
for each sleep that was longer than SECONDS and seen at least three times running, when it is over or
when SIGTERM ends this program:

  FROM  SECONDS  stuck|designated  PID/THREAD  NAME  STACK     (innermost function first)

It reads /proc only, of every process that is called tcmu-runner: a daemon that was killed stays
until its threads are through.
"""
import os
import signal
import sys
import time

PERIOD = 0.25
SECONDS = 1.0
DAEMON = "tcmu-runner"
# store/ submits to a store, helper/ does what has no asynchronous form, open/ opens, ballast/log
# writes the log; iou-wrk- are workers of the kernel's io_uring.
DESIGNATED = ("store/", "helper/", "open/", "ballast/log", "iou-wrk-")


def text(path):
    # Not open(), whose layers cost several times what the reading does; a file of /proc comes at once.
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(file, 1 << 16).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(file)


def daemons():
    return [p for p in os.listdir("/proc") if p.isdigit() and text(f"/proc/{p}/comm").strip() == DAEMON]


def in_d_state(processes):
    """(process, thread, name, how often it has slept) of each thread in D state."""
    for process in processes:
        try:
            threads = os.listdir(f"/proc/{process}/task")
        except OSError:
            continue
        for thread in threads:
            name, _, rest = text(f"/proc/{process}/task/{thread}/stat").partition("(")[2].rpartition(")")
            if rest.startswith(" D"):
                # On a busy machine it may have slept and woken many times between two looks.
                slept = text(f"/proc/{process}/task/{thread}/status").partition("\nvoluntary_ctxt_switches:")[2]
                yield process, thread, name, slept.split("\n")[0].strip()


def stack(process, thread):
    lines = text(f"/proc/{process}/task/{thread}/stack").splitlines()
    # "[<0>] blk_mq_get_tag+0x11e/0x2b0" -> "blk_mq_get_tag"
    return " < ".join(line.partition("] ")[2].partition("+")[0] for line in lines) or "?"


class Sleep:
    def __init__(self, name, now):
        self.name, self.at, self.begin, self.last, self.seen, self.stack = name, time.time(), now, now, 0, ""

    def long(self):
        return self.seen >= 3 and self.last - self.begin >= SECONDS

    def line(self, process, thread):
        verdict = "designated" if self.name.startswith(DESIGNATED) else "stuck"
        return (f"{self.at:.2f}\t{self.last - self.begin:.1f}\t{verdict}\t{process}/{thread}\t"
                f"{self.name}\t{self.stack}\n")


def main(path):
    going = True

    def end(*_):
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, end)
    sleeps, processes, looked = {}, [], 0.0
    with open(path, "a", encoding="utf-8", buffering=1) as out:
        while going:
            now = time.monotonic()
            if now - looked >= 1:
                processes, looked = daemons(), now
            asleep = set()
            for key in in_d_state(processes):
                process, thread, name, _ = key
                asleep.add(key)
                one = sleeps.setdefault(key, Sleep(name, now))
                one.last, one.seen = now, one.seen + 1
                if one.long() and not one.stack:
                    one.stack = stack(process, thread)
            for key in [key for key in sleeps if key not in asleep]:
                one = sleeps.pop(key)
                if one.long():
                    out.write(one.line(*key[:2]))
            time.sleep(max(0.05, now + PERIOD - time.monotonic()))
        for key, one in sleeps.items():
            if one.long():
                out.write(one.line(*key[:2]))


main(*sys.argv[1:])
