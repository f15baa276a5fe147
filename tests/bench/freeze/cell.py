# SPDX-License-Identifier: Apache-2.0
"""What one cell of the freeze matrix left behind, read back. Times are seconds since the freeze."""
import calendar
import collections
import glob
import os
import re
import time

Answer = collections.namedtuple("Answer", "at latency write")  # seconds
Event = collections.namedtuple("Event", "at kind disk text")

# What the kernel says, and what it is in the table and in the picture.
KERNEL = (
    (r"detected conn error \(1021\)", "1021"),
    (r"detected conn error \((?!1021)\d+\)", "connection error"),
    (r"[Dd]evice offlined|rejecting I/O to offline device", "offlined"),
    (r"session recovery timed out", "session given up"),
    (r"connection\d+:\d+ is operational after recovery", "session back"),
    (r"ABORT_TASK|TMR Opcode|LUN_RESET", "task management"),
    (r"blocked for more than", "hung task"),
)
TRACE = (
    (r"block_rq_error", "I/O error"),
    (r"scsi_dispatch_cmd_timeout", "timeout"),
    (r"iscsi_dbg_eh: .*aborting", "abort"),
    (r"iscsi_dbg_eh: .*(LU Reset|tgt Reset|session Reset)", "reset"),
)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


class Cell:
    def __init__(self, folder):
        self.folder = folder
        self.name = os.path.basename(folder.rstrip("/"))
        self.meta = dict(line.rstrip("\n").split("=", 1) for line in open(f"{folder}/meta", encoding="utf-8"))
        self.frozen = int(self.meta["frozen"])
        self.seconds = int(self.meta["seconds"])
        self.zero = float(self.meta["frozen_at"])
        self.thaw = float(self.meta["thawed_at"]) - self.zero
        self.begin = float(self.meta["begun"]) - self.zero
        self.end = float(self.meta["ended_at"]) - self.zero
        self.luns = range(self.frozen + 1)
        self.healthy = self.frozen
        self.disks = {self.meta[f"disk{lun}"]: lun for lun in self.luns}
        self.answers = {lun: self._answers(lun) for lun in self.luns}
        self.log = []  # (seconds, line) of the kernel
        self.events = sorted(self._kernel() + self._trace())
        self.samples = self._samples()

    def _answers(self, lun):
        answers = []
        for path in glob.glob(f"{self.folder}/load-{lun}-*_lat.*.log"):
            for line in open(path, encoding="ascii"):
                at, latency, write = line.split(",")[:3]
                answers.append(Answer(int(at) / 1e3 - self.zero, int(latency) / 1e9, write.strip() == "1"))
        return sorted(answers)

    def _text(self, name):
        try:
            return open(f"{self.folder}/{name}", encoding="utf-8", errors="replace").read().splitlines()
        except OSError:
            return []

    def _kernel(self):
        lines = [(float(m[1]), m[2]) for m in (re.match(r"\[ *(\d+\.\d+)\] (.*)", li) for li in self._text("kernel.log")) if m]
        # The buffer holds what earlier cells said as well.
        marks = [at for at, text in lines if "lab: frozen" in text]
        if not marks:
            return []
        events = []
        for at, text in lines:
            at -= marks[-1]
            if at >= self.begin:
                self.log.append((at, text))
                for pattern, kind in KERNEL:
                    if re.search(pattern, text):
                        events.append(Event(at, kind, self._disk(text), text))
        return events

    def _trace(self):
        events, mark = [], None
        for line in self._text("trace.log"):
            m = re.match(r".*?\s(\d+\.\d+): (.*)", line)
            if not m:
                continue
            if "lab: frozen" in m[2]:
                mark = float(m[1])
            for pattern, kind in TRACE:
                if re.search(pattern, m[2]):
                    events.append(Event(float(m[1]), kind, self._disk(m[2]), m[2]))
        return [e._replace(at=e.at - mark) for e in events] if mark else []

    def _disk(self, text):
        """The LUN a line speaks of, if it does."""
        m = re.search(r"block_rq_error: (\d+),(\d+) ", text)
        if m:  # sd's minors go by 16
            name = "sd" + chr(ord("a") + int(m[2]) // 16)
            return self.disks.get(name, -1)
        m = re.search(r"\b\d+:0:0:(\d+)[\]:]|\blun=(\d+)|\[(sd[a-z]+)\]", text)
        if m:
            return self.disks.get(m[3], -1) if m[3] else int(m[1] or m[2])
        return -1

    def _samples(self):
        return [(float(w[0]) - self.zero, *w[1:]) for w in (li.split("\t") for li in self._text("samples"))]

    def words(self):
        """(seconds, line) of the kernel and the daemon since the freeze."""
        lines = [(at, text) for at, text in self.log if at >= -0.5]
        for line in self._text("tcmu-runner.log"):
            m = re.match(r"(\d+-\d+-\d+ \d+:\d+:\d+)\.(\d+) \d+:\S+ (.*)", line)
            if m:
                at = calendar.timegm(time.strptime(m[1], "%Y-%m-%d %H:%M:%S")) + int(m[2]) / 10 ** len(m[2]) - self.zero
                if at >= 0:
                    lines.append((at, f"tcmu-runner: {m[3]}"))
        return sorted(lines)

    def first(self, kind):
        return next((e.at for e in self.events if e.kind == kind and e.at >= 0), None)

    def count(self, kind, luns=None):
        return sum(1 for e in self.events if e.kind == kind and (luns is None or e.disk in luns))

    def stuck(self):
        """(most threads of target and initiator in D state at once, seconds with any, names): those
        that were there, in one place, in three samples or more. (A loop device that is written to
        throttles its writers for a moment, which is no wedge.)"""
        here = [s for s in self.samples if s[0] >= 0 and s[1] == "D" and s[5] == "iscsi"]
        times = collections.Counter((s[2], s[4]) for s in here)
        moments = collections.defaultdict(set)
        for s in here:
            if times[s[2], s[4]] > 2:
                moments[s[0]].add(s[2])
        names = sorted({re.sub(r"[/:].*", "", s[3]) for s in here if times[s[2], s[4]] > 2})
        return max((len(m) for m in moments.values()), default=0), len(moments), names

    def offlined(self):
        return sorted({self.disks[s[2]] for s in self.samples if s[1] == "state" and "offline" in s[3] and s[2] in self.disks})

    def p99(self, lun, begin, end):
        return percentile([a.latency for a in self.answers[lun] if begin <= a.at < end], 0.99)

    def gap(self, lun, begin, end):
        last = longest = begin
        longest = 0
        for a in self.answers[lun]:
            if begin <= a.at < end:
                longest = max(longest, a.at - last)
                last = a.at
        # A load that ended by itself has no gap after its end.
        return max(longest, end - last)

    def in_flight_over(self):
        """Seconds from the thaw to the last answer of what frozen LUNs had in flight at the thaw;
        None where there was none of it left."""
        over = None
        for lun in range(self.frozen):
            for a in self.answers[lun]:
                if a.at >= self.thaw > a.at - a.latency:
                    over = max(over or 0, a.at - self.thaw)
        return over

    def verify_errors(self):
        found = 0
        for lun in self.luns:
            for name in (f"load-{lun}.err", f"check-{lun}.err"):
                found += sum(1 for line in self._text(name) if re.search(r"^verify: bad|verify failed", line))
        return found

    def status(self, lun):
        return self.meta.get(f"fio_status{lun}", "?")


def load(folders):
    """All whole cells below these folders; of two with the same name the newer."""
    cells = {}
    for folder in folders:
        paths = [folder] if os.path.exists(f"{folder}/meta") else glob.glob(f"{folder}/boot*/cells/*") + glob.glob(f"{folder}/cells/*")
        for path in sorted(paths, key=os.path.getmtime):
            if os.path.exists(f"{path}/done"):
                cells[os.path.basename(path)] = Cell(path)
    return cells
