#!/usr/bin/env python3
"""Runs the benchmark programs that were built, interleaved, and writes bench/results.md and its plots.

    python3 bench/run.py                                      all, as make bench does
    python3 bench/run.py --only W2,W3 --peers ours,go --mode cold

A selection prints its tables and writes nothing.  See bench/README.md.
"""
import argparse
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

import plot

PEERS = {  # in the order of the columns
    "ours": "this library",
    "go": "Go",
    "crossbeam": "crossbeam",
    "mpsc": "Rust mpsc",
    "glib": "GLib",
    "apr": "APR",
    "threads": "pthreads",
}
PEERS_AND_ASLEEP = {"ours": PEERS["ours"], "ours-asleep": "without spinning", **PEERS}
C_LIBRARIES = ["glib", "apr", "threads"]
THREAD_LIBRARIES = ["crossbeam", "mpsc"] + C_LIBRARIES
ALL_PEERS = ["go"] + THREAD_LIBRARIES

ROWS = {
    "W1": "send and receive, capacity 1024",
    "W2": "one to one, capacity 1024",
    "W2b": "one to one, capacity 16",
    "W2c": "one to one, capacity 1",
    "W3": "one to one, unbuffered",
    "W4": "ping-pong, unbuffered, a round trip",
    "W5": "four to one, capacity 1024",
    "W5b": "four to one, unbuffered",
    "W6": "four to four, capacity 1024",
    "W6b": "four to four, unbuffered",
    "W7": "select over 8, unbuffered, 4 producers",
    "W7b": "select over 8, capacity 64, 4 producers",
    "W8": "start and finish a task, 100,000 of them",
    "W9": "create a task that blocks, 10,000 of them",
    "W9-wake": "wake and finish each of them",
    "W9-memory": "resident memory of each, KB",
    "W10": "ring of 503 threads, a step",
    "W11": "500 primes by the sieve, ms",
    "W12": "as W2, 64 elements a call",
    "W13": "as W2, 1,000 ns of work on both sides",
}
LIMITS = {
    "SPIN": "a flag, both spin",
    "YIELD": "a flag, both yield",
    "FUTEX": "futex",
    "CONDITION": "mutex and condition variable",
    "RING-FUTEX": "503 threads, futex",
    "RING-CONDITION": "503 threads, mutex and condition variable",
}
CROWD = {  # how many threads on each side make a hundred
    "W5": 99, "W5b": 99, "W6": 50, "W6b": 50, "W7": 99, "W7b": 99,
}
MODES = {
    "cold": "on all CPUs, each run after 0.4 s of rest",
    "pinned": "on one CPU: `taskset -c 0`",
    "busy": "on all CPUs, beside one computing process for each, for 0.3 s or longer; W8, W9 and W11 once",
}
TAILS = {
    "W3-tail": "one to one, unbuffered",
    "W4-tail": "ping-pong, unbuffered, a round trip",
}
PERCENTS = ["50", "99", "99.9"]
CPU_SECTIONS = {"cold": "cold CPU", "busy": "busy CPU"}
FIXED = {"W8", "W9", "W11", "IDLE"}  # not to be made longer or shorter
FEWEST = {"ChanPopular": 100,  # else it is the start of its thousand threads that is measured
          "W3-tail": 2000, "W4-tail": 2000}  # two are beyond 99.9 %, if they take no longer than two seconds
THREAD_COUNTS = [1, 2, 4, 8, 16, 32, 64]
CASE_COUNTS = [2 ** i for i in range(11)]
CURVES = {  # title, the numbers along it, and how they stand on the command line
    "W6": ("producers, and as many consumers, capacity 1024", THREAD_COUNTS, lambda k: [k]),
    "W7": ("producers into a select over 8 unbuffered channels", THREAD_COUNTS, lambda k: [k]),
    "W7-cases": ("channels of capacity 0 in the select, 4 producers", CASE_COUNTS, lambda k: [4, k]),
}
PLOTTED = {row: text for row, text in ROWS.items() if row not in ("W9-memory", "W11")}  # the others are no times of an element
PLOTTED_CURVES = {"W6": "threads on each side, 1,024 places", "W7": "senders into a select of 8",
                  "W7-cases": "channels in the select"}
CURVE_PEERS = ["ours", "go", "crossbeam"]
PARKED = [0, 10000]
CALLS = {"SEND": "send", "LATEST": "send_latest", "DISPLACE": "send_latest into a full channel"}

REST = 0.4
LONG = 0.3         # seconds at least of a run in which the library has to learn first, or that shows rare times
BUSY_ROUNDS = 3
LEAST = 0.01       # seconds that a run must take to say how many elements fill the budget
MOST = 10 ** 9     # elements
TIMEOUT = 60       # seconds
BUSY_TIMEOUT = 10  # of those that are not FIXED
LONGEST = 25 * 60  # seconds of all rounds
SPIN_SECTIONS = {"cold": "cold", "pinned": "pinned", "crowd": "100 threads", "busy": "busy"}


class Neighbours:
    """A computing process for each CPU.  They end when they are told to, or when this process has ended."""

    COMPUTE = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100000))"

    def __init__(self):
        self.processes = []

    def be(self, there):
        if there and not self.processes:
            for _ in range(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()):
                self.processes.append(subprocess.Popen([sys.executable, "-c", self.COMPUTE]))
            time.sleep(REST)
        while not there and self.processes:
            process = self.processes.pop()
            process.kill()
            process.wait()


class Job:
    """One figure: a program, its workload and arguments, and what its runs have said."""

    def __init__(self, options, key, program, name, extra=(), mode="free", rounds=5, usual=1):
        self.key, self.program, self.name, self.mode = key, program, name, mode
        self.extra = [str(x) for x in extra]
        self.path = os.path.join(options.build, "bench", program)
        is_long = mode == "busy" or name in TAILS
        self.budget = max(options.budget, 1.33 * LONG) if is_long else options.budget
        self.shortest = LONG if is_long else 0.25 * self.budget
        self.rounds = min(rounds, options.runs)
        self.n = None
        self.values = {}        # the figures of all runs, by name; CPU: time of all its threads for each element
        self.failure = None
        self.usual = usual      # elements, unless it is told how many
        self.timeout = BUSY_TIMEOUT if mode == "busy" and name not in FIXED else TIMEOUT
        self.overdue = 0        # runs that did not end in time

    def command(self):
        if self.program == "go-runtime":
            pattern = "/".join(f"^{part}$" for part in ("Benchmark" + self.name).split("/"))
            command = [self.path, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", f"{self.n}x"]
        else:
            command = [self.path, self.name] + ([str(self.n)] if self.n else []) + self.extra
        return (["taskset", "-c", "0"] if self.mode == "pinned" else []) + command

    def once(self):
        """The figures of one run; none if it failed."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            done = subprocess.run(self.command(), capture_output=True, text=True, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            return self.too_long()
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().splitlines()
            self.failure = said[0] if said else f"status {done.returncode}"
            return {}
        if self.program == "go-runtime":
            return {self.name: float(re.search(r"([\d.]+) ns/op", done.stdout).group(1))}
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        figures = {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}
        figures["CPU"] = cpu * 1e9 / (self.n or self.usual) / (1e6 if ROWS.get(self.name, "").endswith(", ms") else 1)
        return figures

    def too_long(self):
        """Beside others a run may take a thousand times as long as the last one: then its time is the limit."""
        if self.mode == "busy" and self.n and self.n > 1 and self.overdue < BUSY_ROUNDS:
            self.overdue += 1
            print(f"\n{' '.join(self.key)}: no end within {self.timeout} s, counted as that", file=sys.stderr)
            return {self.name: self.timeout * 1e9 / self.n}
        self.failure = f"no end within {self.timeout} s: a value is lost, or it hangs"
        return {}

    def fit(self, nanoseconds, seconds):
        self.n = max(FEWEST.get(self.name, 1), min(int(seconds * 1e9 / max(nanoseconds, 0.1)), MOST))

    def calibrate(self):
        """Finds how many elements take about the budget; this also warms the caches."""
        if self.name in FIXED:
            return
        self.n = FEWEST.get(self.name, 1)
        while True:
            each = self.once().get(self.name)
            if self.failure or each * self.n >= LEAST * 1e9 or self.n == MOST:
                break
            last = self.n
            self.fit(each, 1.5 * LEAST)
            self.n = min(max(self.n, 4 * last), 100 * last, MOST)
        if not self.failure:
            self.fit(each, self.budget)

    def run(self):
        """A run that was too short, because the last one was disturbed, is made again with more elements."""
        for _ in range(2 if self.mode == "busy" else 4):
            if self.mode == "cold":
                time.sleep(REST)
            figures = self.once()
            if not self.n or self.failure:
                break
            took = figures[self.name] * self.n
            self.fit(figures[self.name], self.budget)
            if took >= 1e9 * self.shortest:
                break
        for name, value in figures.items():
            self.values.setdefault(name, []).append(value)


def jobs_of(options, programs):
    """All that is asked for and can be run; what will be compared stands side by side."""
    jobs = []

    def wanted(section, name):
        return not options.only or section in options.only or name in options.only

    def add(section, row, peer, program, name, **how):
        if name in programs.get(program, ()) and (peer == "limits" or peer.split("-")[0] in options.peers):
            usual = programs[program][name]
            jobs.append(Job(options, (section, str(row), peer), program, name, usual=usual, **how))

    for mode in options.modes:
        for row in ROWS:
            rounds = 5 if mode != "busy" else 1 if row in FIXED else BUSY_ROUNDS
            main = wanted("busy" if mode == "busy" else "main", row) or (mode != "pinned" and wanted("cpu", row))
            spin = mode != "busy" and wanted("spin", row)
            if main or spin:
                add(mode, row, "ours", "ours", row, mode=mode, rounds=rounds)
            if spin or (main and (mode == "busy" or wanted("cpu", row))):
                add(mode, row, "ours-asleep", "ours-asleep", row, mode=mode, rounds=rounds)
            if main:
                for peer in ALL_PEERS:
                    add(mode, row, peer, peer, row, mode=mode, rounds=rounds)
        for row in LIMITS:
            if mode != "busy" and wanted("limits", row) and (row != "SPIN" or mode == "cold"):
                add(mode, row, "limits", "limits", row, mode=mode)
        for row in TAILS:
            if mode != "pinned" and wanted("tails", row):
                for peer in PEERS_AND_ASLEEP:
                    add(f"{mode} tails", row, peer, peer, row, mode=mode, rounds=3)
    for row, threads in CROWD.items():
        if wanted("crowd", row):
            for peer in ("ours", "ours-asleep"):
                add("crowd", row, peer, peer, row, extra=[threads])
    for row in programs.get("runtime", ()):
        if wanted("runtime", row):
            add("runtime", row, "ours", "runtime", row, mode="cold", rounds=3)
            add("runtime", row, "go", "go-runtime", row, mode="cold", rounds=3)
    for curve, (_, numbers, arguments) in CURVES.items():
        if wanted("curves", curve + "-curve"):
            for k in numbers:
                for peer in CURVE_PEERS:
                    add(curve, k, peer, peer, curve.split("-")[0], extra=arguments(k), rounds=3)
    for k in PARKED:
        if wanted("parked", "PARKED"):
            for peer in CURVE_PEERS:
                add("parked", k, peer, peer, "PARKED", extra=[k])
    for row in CALLS:
        if wanted("calls", row):
            add("calls", row, "ours", "ours", row, rounds=5)
    if wanted("idle", "IDLE"):
        add("idle", "IDLE", "ours", "ours", "IDLE", rounds=1)
    return jobs


def run_all(jobs):
    """Round by round, so that every figure meets all the moods of the machine.  Returns how many there were."""
    start, rounds, neighbours = time.time(), max(job.rounds for job in jobs), Neighbours()
    try:
        for number in range(rounds + 1):
            begin = time.time()
            for done, job in enumerate(jobs):
                if sys.stderr.isatty():
                    print(f"\r{done}/{len(jobs)} {' '.join(job.key):40.40}", end="", file=sys.stderr)
                if number <= job.rounds and not job.failure:
                    neighbours.be(job.mode == "busy")
                    job.run() if number > 0 else job.calibrate()
            what = f"round {number} of {rounds}" if number > 0 else "calibrated"
            print(("\r" if sys.stderr.isatty() else "") + f"{what:48}{time.time() - start:6.0f} s", file=sys.stderr)
            if number > 0 and 2 * time.time() - begin - start > LONGEST:
                break           # one more like this takes too long
    finally:
        neighbours.be(False)
    return number


def results_of(jobs):
    """{section: {row: {peer: the values of its runs}}} and what has failed."""
    results, failures = {}, []
    for job in jobs:
        section, row, peer = job.key
        if job.failure:
            failures.append(f"{section} {row}, {PEERS.get(peer, peer)}: {job.failure}")
            continue
        for name, values in job.values.items():
            figure = name if name.startswith("W9") or "-tail" in name else row
            if name != "CPU":
                results.setdefault(section, {}).setdefault(figure, {})[peer] = values
            elif section in CPU_SECTIONS:
                results.setdefault(CPU_SECTIONS[section], {}).setdefault(row, {})[peer] = values
    return results, failures


# ---- Tables


def number(value):
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.3g}"


def cell(values):
    if not values:
        return ""
    return f"{number(statistics.median(values))} ({number(min(values))}-{number(max(values))})"


def table(header, lines):
    """Markdown that can also be read as it is."""
    lines = [header] + lines
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    text = ["| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))) + " |"
            for line in lines]
    text.insert(1, "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|")
    return "\n".join(text) + "\n"


class Figures:
    """Medians, and ratios between them."""

    def __init__(self, results):
        self.results = results

    def median(self, section, row, peer):
        values = self.results.get(section, {}).get(str(row), {}).get(peer)
        return statistics.median(values) if values else None

    def best(self, section, row, peers):
        """The name and median of the best of them, (None, None) if none is there."""
        there = [(self.median(section, row, p), p) for p in peers if self.median(section, row, p) is not None]
        value, peer = min(there, default=(None, None))
        return peer, value

    def limit(self, section, rows):
        peer, value = min(((r, self.median(section, r, "limits")) for r in rows
                           if self.median(section, r, "limits") is not None), key=lambda x: x[1], default=(None, None))
        return peer, value


def main_table(figures, mode):
    section = figures.results.get(mode, {})
    rows = [row for row in ROWS if "ours" in section.get(row, {}) or any(p in section.get(row, {}) for p in ALL_PEERS)]
    peers = [p for p in PEERS if any(p in section[row] for row in rows)]
    lines = []
    for row in rows:
        ours, (peer, best) = figures.median(mode, row, "ours"), figures.best(mode, row, ALL_PEERS)
        ratio = f"{ours / best:.2f} ({PEERS[peer]})" if ours and best else ""
        lines.append([f"{row} {ROWS[row]}"] + [cell(section[row].get(p)) for p in peers] + [ratio])
    return table([""] + [PEERS[p] for p in peers] + ["ours / best"], lines) if lines else ""


def pairs_table(figures, section, names, first, second, labels):
    """Two columns and their ratio."""
    lines = []
    for row in names:
        values = figures.results.get(section, {}).get(str(row), {})
        a, b = figures.median(section, row, first), figures.median(section, row, second)
        if a is not None or b is not None:
            lines.append([str(row), cell(values.get(first)), cell(values.get(second)), f"{a / b:.2f}" if a and b else ""])
    return table([""] + labels + ["ratio"], lines) if lines else ""


def curve_table(figures, section, numbers):
    there = figures.results.get(section, {})
    peers = [p for p in CURVE_PEERS if any(p in there.get(str(k), {}) for k in numbers)]
    lines = [[str(k)] + [cell(there.get(str(k), {}).get(p)) for p in peers] for k in numbers if str(k) in there]
    return table([""] + [PEERS[p] for p in peers], lines) if lines else ""


def cpu_table(figures, mode):
    """In each cell the CPU time, and after it the wall time."""
    section = figures.results.get(CPU_SECTIONS[mode], {})
    rows = [row for row in ROWS if row in section]
    peers = [p for p in PEERS_AND_ASLEEP if any(p in section[row] for row in rows)]
    lines = []
    for row in rows:
        cells = []
        for peer in peers:
            wall = [figures.median(mode, r, peer) for r in ([row, "W9-wake"] if row == "W9" else [row])]
            cpu = figures.median(CPU_SECTIONS[mode], row, peer)
            cells.append(f"{number(cpu)} / {number(sum(wall))}" if cpu is not None and None not in wall else "")
        ours = figures.median(CPU_SECTIONS[mode], row, "ours")
        peer, best = figures.best(CPU_SECTIONS[mode], row, THREAD_LIBRARIES)
        text = "create, wake and finish a task" if row == "W9" else ROWS[row]
        lines.append([f"{row} {text}"] + cells + [f"{ours / best:.2f} ({PEERS[peer]})" if ours and best else ""])
    return table([""] + [PEERS_AND_ASLEEP[p] for p in peers] + ["ours / best of threads"], lines) if lines else ""


def tails_table(figures, mode):
    section = figures.results.get(f"{mode} tails", {})
    rows = [(f"{row}-{percent}", f"{row[:2]} {percent} %") for row in TAILS for percent in PERCENTS]
    rows = [(row, text) for row, text in rows if row in section]
    peers = [p for p in PEERS_AND_ASLEEP if any(p in section[row] for row, _ in rows)]
    lines = [[text] + [cell(section[row].get(p)) for p in peers] for row, text in rows]
    return table([""] + [PEERS_AND_ASLEEP[p] for p in peers], lines) if lines else ""


# ---- Targets


def hand_overs_of_the_sieve(primes=500):
    """How often a number goes from one thread to the next in W11."""
    found, steps, i = [], 0, 2
    while len(found) < primes:
        divisor = next((k for k, prime in enumerate(found) if i % prime == 0), None)
        if divisor is None:
            found.append(i)
            divisor = len(found) - 1
        steps += divisor + 1
        i += 1
    return steps + primes + 1       # and the end of the numbers, through all


class Targets:
    """What is wanted and what is reached, as far as there are figures."""

    STREAMS = ["W2", "W2b", "W5", "W6", "W6b", "W7", "W7b"]
    HAND_OVER = ["W2c", "W3", "W4", "W5b"]

    def __init__(self, figures):
        self.figures = figures
        self.found = []         # (what, row, ratio reached, ratio wanted, to what it is)
        self.one_to_one()
        for mode in ("cold", "pinned"):
            self.many_threads(mode)
            self.against("5 times faster than the pools", mode, ["W8"], ["apr", "glib"], 0.2)
            self.against("Near plain pthreads", mode, ["W9", "W9-wake"], ["threads"], 1.1)
        self.tasks()
        self.selects()
        self.busy()
        self.without_spinning()
        self.asleep()

    def judge(self, what, row, ours, other, name, wanted):
        if ours is not None and other:
            self.found.append((what, row, ours / other, wanted, name))

    def against(self, what, mode, rows, peers, wanted):
        for row in rows:
            peer, best = self.figures.best(mode, row, peers)
            self.judge(f"{what}, {mode}", row, self.figures.median(mode, row, "ours"), best, PEERS.get(peer), wanted)

    def one_to_one(self):
        median = self.figures.median
        self.against("No slower than Go and the C libraries", "cold", ["W1"], ["go"] + C_LIBRARIES, 1)
        self.against("Near crossbeam", "cold", ["W1"], ["crossbeam"], 1.3)
        self.against("Near APR and pthreads", "cold", ["W1", "W13"], ["apr", "threads"], 1.05)
        self.against("No slower than any", "cold", ["W13"], ALL_PEERS, 1)
        self.against("No slower than Go and crossbeam", "cold", ["W2"], ["go", "crossbeam"], 1)
        peer, best = self.figures.best("cold", "W2", ALL_PEERS)
        self.judge("A fifth of the best W2, cold", "W12", median("cold", "W12", "ours"), best, PEERS.get(peer), 0.2)
        rows = ["W2b", "W2c", "W3", "W4"]
        self.against("No slower than Go", "cold", rows, ["go"], 1)
        limit, least = self.figures.limit("pinned", ["YIELD", "FUTEX", "CONDITION"])
        for row in rows:
            twice = 2 if row == "W4" else 1
            self.judge("Near the machine's limit, pinned", row, median("pinned", row, "ours"), least and twice * least,
                       limit and ("twice " if twice == 2 else "") + limit, 1.2)
        self.against("Ahead of thread libraries", "pinned", rows, THREAD_LIBRARIES, 1)
        self.against("Ahead of thread libraries", "cold", ["W2c", "W3", "W4"], THREAD_LIBRARIES, 1)
        self.against("No slower than crossbeam", "cold", self.STREAMS[1:], ["crossbeam"], 1)
        for row, most in [("W2b", 80), ("W7b", 100), ("W3", 200), ("W4", 480)]:
            self.judge("Nanoseconds, cold", row, median("cold", row, "ours"), most, f"{most} ns", 1)

    def many_threads(self, mode):
        streams = ["W5", "W6", "W7", "W7b"]
        self.against("No slower than thread libraries", mode, streams, THREAD_LIBRARIES, 1)
        self.against("Near Go", mode, streams, ["go"], 1.5)
        asleep = self.figures.limit(mode, ["FUTEX", "CONDITION"])
        ring = self.figures.limit(mode, ["RING-FUTEX", "RING-CONDITION"])
        steps = hand_overs_of_the_sieve()
        most = [("limit", "W5b", asleep, 1, 1.2), ("limit", "W6b", asleep, 1, 1.2),
                ("limit", "W10", ring, 1, 1.2), ("limit", "W11", ring, steps, 1.2)]
        if mode == "pinned":
            most += [("ring", "W10", ring, 1, 1.3), ("ring", "W11", ring, steps, 1.3)]
        for what, row, (limit, least), times, wanted in most:
            name = f"{times:,} times " if times > 1 else ""
            unit = 1e6 if row == "W11" else 1
            self.judge(f"Near the machine's {what}, {mode}", row, self.figures.median(mode, row, "ours"),
                       least and least * times / unit, limit and name + limit, wanted)
        self.against("Ahead of thread libraries", mode, ["W5b", "W6b", "W10", "W11"], THREAD_LIBRARIES, 1)

    def tasks(self):
        median = self.figures.median
        self.against("No slower than GLib's pool", "cold", ["W8"], ["glib"], 1)
        self.against("Near GLib's pool", "pinned", ["W8"], ["glib"], 1.5)
        self.judge("Near plain pthreads in CPU time, cold", "W9", median("cold CPU", "W9", "ours"),
                   median("cold CPU", "W9", "threads"), PEERS["threads"], 1.1)
        self.judge("At most 10 KB", "W9-memory", median("cold", "W9-memory", "ours"), 10, "10 KB", 1)

    def selects(self):
        for k in CASE_COUNTS:
            peer, best = self.figures.best("W7-cases", k, ["go", "crossbeam"])
            self.judge("No slower than Go and crossbeam", f"W7 of {k:,}", self.figures.median("W7-cases", k, "ours"),
                       best, PEERS.get(peer), 1)

    def busy(self):
        median, rows = self.figures.median, self.STREAMS + self.HAND_OVER
        for row in rows:
            self.judge("Near that without spinning, busy", row, median("busy", row, "ours"),
                       median("busy", row, "ours-asleep"), "without spinning", 1.5)
        self.against("No slower than crossbeam", "busy", rows, ["crossbeam"], 1)
        for row in TAILS:
            for percent, most, text in [("50", 60e3, "60 µs"), ("99.9", 5e6, "5 ms")]:
                self.judge(f"{percent} % of the hand-overs, busy", row[:2],
                           median("busy tails", f"{row}-{percent}", "ours"), most, text, 1)

    def without_spinning(self):
        for section, rows in [("cold", ROWS), ("pinned", ROWS), ("crowd", CROWD), ("busy", ROWS)]:
            for row in rows:
                if row != "W9-memory":
                    self.judge(f"No slower by spinning, {SPIN_SECTIONS[section]}", row,
                               self.figures.median(section, row, "ours"),
                               self.figures.median(section, row, "ours-asleep"), "without spinning", 1.05)

    def asleep(self):
        median = self.figures.median
        self.judge("Idle uses no CPU", "IDLE", median("idle", "IDLE", "ours"), 1000, "1 s asleep, 100 tasks", 0.001)
        for row in ("LATEST", "DISPLACE"):
            self.judge("The latest value", row, median("calls", row, "ours"), median("calls", "SEND", "ours"), "a send", 1.2)
        self.judge("A send beside 10,000 selects", "PARKED", median("parked", 10000, "ours"),
                   median("parked", 0, "ours"), "beside none", 1.05)


def targets_table(figures):
    lines = []
    for what, row, ratio, wanted, name in Targets(figures).found:
        shown = f"{ratio:.2f}" if wanted > 0.1 else f"{ratio:.5f}"
        lines.append([what, row, name, shown, f"{wanted:g}", "met" if float(shown) <= wanted else "**missed**"])
    if not lines:
        return ""
    return table(["target", "row", "against", "ratio", "wanted", ""], lines) + \
        f"\n{sum(line[-1] == 'met' for line in lines)} of {len(lines)} met.\n"


# ---- The report


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()[0].strip()
    except (OSError, IndexError):
        return None


def machine(options):
    """What the figures depend on, a line each."""
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            model = re.search(r"model name\s*: (.*)", cpuinfo.read()).group(1).strip()
    except (OSError, AttributeError):
        model = platform.processor()
    crossbeam = None
    try:
        with open(os.path.join(options.build, "bench", "crossbeam-source", "Cargo.lock")) as lock:
            crossbeam = re.search(r'name = "crossbeam-channel"\nversion = "(.*)"', lock.read()).group(1)
    except OSError:
        pass
    versions = [
        first_line(os.environ.get("CC", "cc"), "--version"),
        first_line("getconf", "GNU_LIBC_VERSION"),
        first_line("go", "version"),
        first_line("rustc", "--version"),
        crossbeam and f"crossbeam-channel {crossbeam}",
        *(version and f"{name} {version}" for name, version in
          [("GLib", first_line("pkg-config", "--modversion", "glib-2.0")),
           ("APR", first_line("pkg-config", "--modversion", "apr-1")),
           ("APR-util", first_line("pkg-config", "--modversion", "apr-util-1"))]),
    ]
    return [
        f"{os.cpu_count()} CPUs, {model}, {platform.machine()}",
        f"{platform.system()} {platform.release()}",
        ", ".join(v for v in versions if v),
        f"{time.strftime('%Y-%m-%d')}, load before the run {os.getloadavg()[0]:.1f}",
    ]


def report(data):
    figures = Figures(data["results"])
    parts = ["# Results of the benchmark\n", "Written by `make bench`. [README.md](README.md) says what each row is.\n",
             "".join(f"- {line}\n" for line in data["machine"])]

    def section(title, text, *tables):
        tables = [t for t in tables if t]
        if tables:
            parts.extend([f"## {title}\n", text + "\n"] + tables)

    if data["failures"]:
        section("Not timed", "These lost a value, hung or could not run.", "".join(f"- {f}\n" for f in data["failures"]))
    how = f"Nanoseconds per element unless the row says otherwise: median of {data['runs']} runs (least-greatest)."
    for mode, text in MODES.items():
        if mode == "busy":
            how = how.replace(f"of {data['runs']} runs", f"of {min(BUSY_ROUNDS, data['runs'])} runs")
        limits = [[text, cell(values["limits"])] for row, text in LIMITS.items()
                  for values in [data["results"].get(mode, {}).get(row, {})] if "limits" in values]
        section(mode.capitalize(), f"{how} Run {text}.", main_table(figures, mode),
                limits and "The machine itself, to hand one token from thread to thread:\n\n" +
                table(["", "a hand-over"], limits))
    section("Tails", "The time that 50, 99 and 99.9 % of the hand-overs have not exceeded, nanoseconds, in runs of 0.3 s. "
            "Each reads the clock, which makes it 20 to 100 ns slower.",
            *("".join([f"{title}:\n\n", t]) for mode, title in [("cold", "Quiet"), ("busy", "Busy")]
              for t in [tails_table(figures, mode)] if t))
    section("CPU time", "CPU time of all threads for each element, user and system, and after it the wall time. "
            "The process's start and end count.",
            *("".join([f"{title}:\n\n", t]) for mode, title in [("cold", "Cold"), ("busy", "Busy")]
              for t in [cpu_table(figures, mode)] if t))
    section("Targets", "A ratio at most as great as wanted is met.", targets_table(figures))
    labels = ["with", "without"]
    section("Spinning on and off", "The library as it is, and built with `-DCHAN_SPIN=0`.",
            *("".join([f"{title}:\n\n", t]) for s, title, rows in
              [("cold", "Cold", ROWS), ("pinned", "On one CPU", ROWS),
               ("crowd", "With 100 threads on all CPUs", CROWD), ("busy", "Busy", ROWS)]
              for t in [pairs_table(figures, s, rows, "ours", "ours-asleep", labels)] if t))
    section("The benchmarks of Go's runtime", "Under their names in Go, nanoseconds per operation, cold.",
            pairs_table(figures, "runtime", data["results"].get("runtime", {}), "ours", "go", ["this library", "Go"]))
    for curve, (title, numbers, _) in CURVES.items():
        section(f"{curve.split('-')[0]}: how cost grows with the number of {title}", "Nanoseconds per element.",
                curve_table(figures, curve, numbers))
    section("A send and a receive while selects wait on other channels", "By how many wait; nanoseconds.",
            curve_table(figures, "parked", PARKED))
    idle = figures.median("idle", "IDLE", "ours")
    if idle is not None:
        parts.append(f"## Idle\n\nWhile 100 tasks wait in a select for a second, the process uses {idle:.2f} ms of CPU time.\n")
    return "\n".join(parts)


def programs_in(directory):
    """{program: {workload: its number of elements}}; Go's own benchmarks are those that are told in C."""
    programs = {}
    for program in [*PEERS, "ours-asleep", "limits", "runtime"]:
        path = os.path.join(directory, program)
        if os.path.exists(path):
            listing = subprocess.run([path], capture_output=True, text=True, check=True).stdout
            programs[program] = {name: int(n) for name, n in map(str.split, listing.splitlines())}
    if os.path.exists(os.path.join(directory, "go-runtime")):
        programs["go-runtime"] = programs.get("runtime", {})
    return programs


def main():
    def names(text):
        return text.split(",")

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="where the programs are: build")
    parser.add_argument("--only", type=names, help="rows, or main limits spin crowd runtime curves parked calls idle busy cpu tails")
    parser.add_argument("--peers", type=names, default=list(PEERS), help=",".join(PEERS))
    parser.add_argument("--mode", type=names, dest="modes", default=list(MODES), help=",".join(MODES))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--budget", type=float, default=0.06, help="seconds that one run takes: 0.06")
    parser.add_argument("--again", action="store_true", help="writes the report and the plots of the last full run")
    options = parser.parse_args()
    if options.again and (options.only or options.peers != list(PEERS) or options.modes != list(MODES)):
        parser.error("--again goes alone")
    unknown = set(options.peers) - set(PEERS) | set(options.modes) - set(MODES)
    if unknown:
        parser.error("unknown: " + " ".join(sorted(unknown)))

    full = not options.only and options.peers == list(PEERS) and options.modes == list(MODES)
    memory = os.path.join(options.build, "bench", "results.json")
    if options.again:
        with open(memory) as file:
            data = json.load(file)
    else:
        if "pinned" in options.modes and not shutil.which("taskset"):
            print("No taskset here: nothing is pinned.", file=sys.stderr)
            options.modes.remove("pinned")
        programs = programs_in(os.path.join(options.build, "bench"))
        for peer in set(options.peers) - set(programs):
            print(f"Not built: {PEERS[peer]}", file=sys.stderr)
        about = machine(options)
        jobs = jobs_of(options, programs)
        if not jobs:
            parser.error("nothing of that can be run")
        rounds = run_all(jobs)
        results, failures = results_of(jobs)
        data = {"machine": about, "runs": min(rounds, options.runs), "results": results, "failures": failures}
    text = report(data)
    print(text)
    if full:
        here = os.path.dirname(os.path.abspath(__file__))
        with open(memory, "w") as file:
            json.dump(data, file)
        with open(os.path.join(here, "results.md"), "w") as file:
            file.write(text)
        plot.write(here, data["results"], PLOTTED, PLOTTED_CURVES)
    return 1 if data["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
