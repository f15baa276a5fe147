#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Samples a machine whose storage freezes, once a second, into a file of tab-separated lines.

usage: watch-freeze.py [--say PHASE_FILE] FILE DISK...          (DISK: sda)

  TIME  D      PID  NAME  WHERE  CLASS       a thread in D state; CLASS iscsi: of target or initiator
  TIME  state  DISK STATE                    of the SCSI device, when it changed
  TIME  depth  DISK DEPTH                    its queue_depth, when it changed
  TIME  io     DISK ANSWERED INFLIGHT        requests since boot, and now

With --say it tells on standard output, every 8 s, how things stand, after what the phase file holds.

It reads /proc and /sys only, and nothing of it can wait for a disk. Ends with SIGTERM.
"""
import os
import signal
import sys
import time

# A kernel thread belongs to the target or the initiator if its stack goes through one of these.
MODULES = ("[target_core", "[iscsi_", "[libiscsi", "[scsi_transport_iscsi", "[iscsi_tcp")


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


def sleeping_for_good():
    """(thread id, name, where, class) of each thread in D state."""
    for process in os.listdir("/proc"):
        if not process.isdigit():
            continue
        try:
            threads = os.listdir(f"/proc/{process}/task")
        except OSError:
            continue
        for thread in threads:
            folder = f"/proc/{process}/task/{thread}"
            stat = text(f"{folder}/stat")
            name, _, rest = stat.partition("(")[2].rpartition(")")
            if not rest.startswith(" D"):
                continue
            stack = text(f"{folder}/stack")
            ours = name.startswith("iscsi") or any(m in stack for m in MODULES)
            where = text(f"{folder}/wchan") or "?"
            yield thread, name, where, "iscsi" if ours else "other"


def main(path, disks, phase):
    going = True
    spoke = time.time()

    def end(*_):
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, end)
    known = {}
    with open(path, "a", encoding="utf-8", buffering=1) as out:
        while going:
            begin = time.time()
            # The clock may be set meanwhile.
            tick = time.monotonic()
            words = []

            def say(*words):
                out.write("\t".join([f"{begin:.3f}", *words]) + "\n")

            waiting = list(sleeping_for_good())
            for thread in waiting:
                say("D", *thread)
            for disk in disks:
                device = f"/sys/block/{disk}/device"
                for what, file in (("state", "state"), ("depth", "queue_depth")):
                    value = text(f"{device}/{file}").strip() or "gone"
                    if known.get((disk, what)) != value:
                        known[disk, what] = value
                        say(what, disk, value)
                stat = text(f"/sys/block/{disk}/stat").split()
                if len(stat) > 8:
                    say("io", disk, str(int(stat[0]) + int(stat[4])), stat[8])
                    words.append(f"{disk} {known[disk, 'state']}, {int(stat[0]) + int(stat[4])} answered, {stat[8]} in flight")
            if phase and begin - spoke >= 8:
                spoke = begin
                words.append(f"{sum(w[3] == 'iscsi' for w in waiting)} iscsi threads in D")
                print(f"  {text(phase).strip()}: " + "; ".join(words), flush=True)
            time.sleep(max(0.1, tick + 1 - time.monotonic()))


if sys.argv[1] == "--say":
    main(sys.argv[3], sys.argv[4:], sys.argv[2])
else:
    main(sys.argv[1], sys.argv[2:], None)
