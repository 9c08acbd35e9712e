#!/usr/bin/env python3
"""mutate.py - changes chan.c, spawn.c and the companions in small ways and sees whether the tests notice

    test/mutate.py [--list] [--doubt] [--only FILE[:FUNCTION],...] [--sample N] [--seed N] [--jobs N]

Each mutant is one small change: a condition negated, a statement dropped, a lock and its unlock
dropped, signal for broadcast and (a dropped statement) none for signal, a bound or a constant off by
one, operands or arguments swapped, another operator, errno, queue or memory order.  Explorer, tests
and soak run against it, the cheapest first, until one fails: then it is killed.  A hang is a failure.
Those that have killed a mutant of the same function are asked before the others, and the tests under
AddressSanitizer and ThreadSanitizer after all others.

A mutant that gives the same object code as the original at -O2 is equivalent, and so is one that
mutants.txt says is, with the reason.  Every other survivor must stand there too, as a gap, with the reason why
no test sees it.  What stands there is not run, but with --doubt.  A survivor that does not, one that is killed
although it is called equivalent, and an entry without a mutant make the exit status 1.

build/mutants.jsonl remembers verdicts: that a mutant is killed for as long as its function reads the
same, that it survives for as long as sources and tests do.  Without it everything is tried again.
"""
import argparse
import collections
import concurrent.futures
import functools
import hashlib
import json
import os
import queue
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KNOWN = os.path.join(TOP, "test", "mutants.txt")
MEMORY = os.path.join(TOP, "build", "mutants.jsonl")
# Not chan_trace.c: without -DCHAN_TRACE it is nothing.
SOURCES = ("chan.c", "spawn.c", *(f"extra/chan_{name}.c" for name in ("timer", "context", "group", "broadcast", "fd", "signal", "watch")))

# ---- What is changed ---------------------------------------------------------------------------------

OPERAND = r"[\w.>\[\]*&-]*[\w\]]"
DECLARATION = (r"(static|const|struct|size_t|int|int64_t|uint64_t|bool|void|unsigned|volatile|long|chan \*|pthread_\w+_t"
               r"|sigset_t|spawn_options|alignas|waitgroup \*?\w+ =)\b")

# (what, pattern, replacement): tried at every place of every line of code.
RULES = [
    ("negate", r"\b(if|while) \((?![^&|]+ [!=]= [^&|]+$)(.*)\)( \{)?$", r"\1 (!(\2))\3"),
    ("negate", r"^(\} )?while \((.*)\);$", r"\1while (!(\2));"),
    ("negate", r"\bfor \(([^;]*); ([^;]+); ([^;]*)\)( \{)?$", r"for (\1; !(\2); \3)\4"),
    ("other arm", r" \? ([^?:]+) : ([^?:;,)]+)", r" ? \2 : \1"),
    ("and/or", r"&&", "||"),
    ("and/or", r"\|\|", "&&"),
    ("bound", r" < ", " <= "),
    ("bound", r" <= ", " < "),
    ("bound", r" > ", " >= "),
    ("bound", r" >= ", " > "),
    ("swap", r" < ", " > "),
    ("swap", r" > ", " < "),
    ("swap", r" <= ", " >= "),
    ("swap", r" >= ", " <= "),
    ("equal", r" == ", " != "),
    ("equal", r" != ", " == "),
    ("operator", r" \+ ", " - "),
    ("operator", r" - ", " + "),
    ("operator", r" \* ", " / "),
    ("operator", r" / ", " * "),
    ("operator", r" % ", " / "),
    ("operator", r" << ", " >> "),
    ("operator", r" >> ", " << "),
    ("operator", r" & ", " | "),
    ("operator", r" \| ", " & "),
    ("operator", r" \^ ", " | "),
    ("operator", r"\+\+", "--"),
    ("operator", r"--", "++"),
    ("operator", r" \+= ", " -= "),
    ("operator", r" -= ", " += "),
    ("operator", r" \*= ", " /= "),
    ("swap", rf"(?<!\w)({OPERAND}) (-|/|%|<<|>>) ({OPERAND})", r"\3 \2 \1"),
    ("swap", rf"\b(\w+)\(({OPERAND}), ({OPERAND})", r"\1(\3, \2"),
    ("one more", r"(?<![\w.])(\d+)(?=u?\b)(?!\.)", lambda m: str(int(m.group(0)) + 1)),
    ("one less", r"(?<![\w.])([1-9]\d*)(?=u?\b)(?!\.)", lambda m: str(int(m.group(0)) - 1)),
    ("false", r"\btrue\b", "false"),
    ("true", r"\bfalse\b", "true"),
    ("broadcast", r"pthread_cond_signal\(", "pthread_cond_broadcast("),
    ("signal", r"pthread_cond_broadcast\(", "pthread_cond_signal("),
    ("order", r"memory_order_(acquire|release|acq_rel|seq_cst)", "memory_order_relaxed"),
    ("order", r"memory_order_acq_rel", "memory_order_acquire"),
    ("order", r"memory_order_acq_rel", "memory_order_release"),
    ("other side", r"\breceivers\b", "senders"),
    ("other side", r"\bsenders\b", "receivers"),
    ("next/prev", r"->next\b", "->prev"),
    ("next/prev", r"->prev\b", "->next"),
    ("first/last", r"->first\b", "->last"),
    ("first/last", r"->last\b", "->first"),
    ("success", r"return (err|E[A-Z]+)\b", "return 0"),
    ("drop", rf"^(?!{DECLARATION}|return\b|goto\b|case\b|default\b|\}}|\{{|#|enum|if\b|for\b|while\b|do\b|else\b).*;$", ";"),
    ("other errno", r"\bEPIPE\b", "ETIMEDOUT"),
    ("other errno", r"\bETIMEDOUT\b", "EPIPE"),
    ("other errno", r"\bEAGAIN\b", "ENOMEM"),
    ("other errno", r"\bENOMEM\b", "EAGAIN"),
    ("other errno", r"\bEINVAL\b", "EPIPE"),
]
RETURNS_POINTER = ("NULL", r"return (?!NULL)([\w>.-]+);$", "return NULL;")
RETURNS_BOOL = ("negate", r"^return (?!true;|false;)(.*);$", r"return !(\1);")
GUARDED = ("drop", r"^return\b.*;$", ";")               # a return that does not end its function
CONSTANT = [rule for rule in RULES if rule[0] in ("one more", "one less", "false", "true")]


class Mutant:
    def __init__(self, name, number, function, what, code, changed, source):
        self.name, self.number, self.source = name, number, source
        self.key = f"{name}: {function[0]}: {what}: {code}  =>  {changed}"
        self.function = digest(function[1])             # as it is without the change


def digest(*texts):
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def functions(lines):
    """(name, first, last) of each function body; then of the lines between them, as 'file'."""
    start, outside = None, 0
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        if line == "}" and start is not None:
            head = start - 2 if lines[start - 1].startswith("\t") else start - 1    # of one line or of two
            yield re.findall(r"(\w+)\(", lines[head].replace("__attribute__((", ""))[0], start + 1, number, lines[head]
            yield "file", outside, start - 1, ""
            start, outside = None, number + 1


def is_hook(line):
    return re.match(r"\t+TRACE\(", line)


def without_hooks(lines):
    return "\n".join(line for line in lines if not is_hook(line))


def places(lines):
    """(number, indentation, code without comment, rules, function) of each line that is code.

    What stands under CHAN_CHECK belongs to the tests, and traces are nothing here: neither is changed.
    """
    checks, skip = set(), False
    for number, line in enumerate(lines):
        skip = line in ("#ifdef CHAN_CHECK", "#ifdef CHAN_TRACE") or (skip and not re.match(r"#(else|endif)", line))
        if skip or is_hook(line):
            checks.add(number)
    for name, first, last, head in functions(lines):
        rules = CONSTANT if name == "file" else list(RULES)
        if re.match(r"(static )?bool ", head):
            rules.append(RETURNS_BOOL)
        if re.match(r"(static )?.*\*\w+\(", head):
            rules.append(RETURNS_POINTER)
        comment = enum = False
        for number in range(first, last):
            stripped = lines[number].strip()
            if comment or stripped.startswith("/*"):
                comment = "*/" not in stripped
                continue
            code = re.sub(r"\s*/\*.*?\*/", "", stripped)
            enum = name == "file" and (code.startswith("enum {") or (enum and "}" not in code))
            constant = enum or re.match(r"#define \w+ .*\d|(static )?\w+ \w+ = \{.*\d", code)
            if code and number not in checks and (constant if name == "file" else not code.startswith("#")):
                indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
                guarded = [GUARDED] if len(indent) > 1 and name != "file" else []
                text = code if name == "file" else without_hooks(lines[first - 1: last])
                yield number, indent, code, rules + guarded, (name, text)


def mutants(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as source:
        lines = source.read().split("\n")
    for number, indent, code, rules, function in places(lines):
        for what, pattern, replacement in rules:
            for match in re.finditer(pattern, code):
                new = replacement(match) if callable(replacement) else match.expand(replacement)
                changed = code[: match.start()] + new + code[match.end():]
                text = "\n".join(lines[:number] + [indent + changed] + lines[number + 1:])
                yield Mutant(name, number, function, what, code, changed, text)
    for function, first, last, _ in functions(lines):
        if function != "file":
            yield from lock_pairs(name, lines, (function, without_hooks(lines[first - 1: last])), range(first, last))


def lock_pairs(name, lines, function, body):
    """Each lock is dropped with the next unlock after it, and with all of them."""
    locks = [i for i in body if re.match(r"\s+(pthread_mutex_|chan_)?lock(_watch)?\(", lines[i])]
    unlocks = [i for i in body if re.match(r"\s+(pthread_mutex_|chan_)?unlock(_watch)?\(", lines[i])]
    for lock in locks:
        after = [i for i in unlocks if i > lock]
        for count in {1, len(after)} if after else ():
            without = {lock, *after[:count]}
            text = "\n".join("" if i in without else line for i, line in enumerate(lines))
            yield Mutant(name, lock, function, "lock pair", lines[lock].strip(), f"no lock, {count} unlocks less", text)


def all_mutants():
    """Without those whose text is the original's or another mutant's."""
    seen, keys = set(), {}
    for name in SOURCES:
        with open(os.path.join(TOP, name), encoding="utf-8") as source:
            seen.add((name, source.read().replace(" ", "")))
        for m in mutants(name):
            same = (name, m.source.replace(" ", ""))
            if same in seen:
                continue
            seen.add(same)
            keys[m.key] = keys.get(m.key, 0) + 1
            if keys[m.key] > 1:
                m.key += f"  ({keys[m.key]})"
            yield m


# ---- What it runs against ----------------------------------------------------------------------------

FLAGS = ["CFLAGS=-O1", "WARNINGS=-w"]
# The explorer's own copy of the structures, which no mutant changes, is not compiled again for each.
KEPT = ["-o", "build/explore/insight.o", "-o", "build/explore/insight_fd.o"]
EXPLORE = "build/explore/explore"
NAPS = "build/explore/explore-naps"
WATCHED = "build/explore/explore-watched"
RUN = "build/test/run"
SOAK = "build/test/soak"
# What no other suite sees may be a fault all the same: a race, or memory that is not the library's.
SANITIZERS = {"asan": "-fsanitize=address,undefined -fno-sanitize-recover=all", "tsan": "-fsanitize=thread"}
NOT_SANITIZED = ("border", "deadlock", "stress", "vendor")      # of which nothing is left there


def explore(name):
    return f"explore {name}", EXPLORE, [EXPLORE, "--short", "--only", name]


def watched(name):
    return f"explore {name}", WATCHED, [WATCHED, "--watched", "--short", "--only", name]


def suite(name):
    return f"test {name}", RUN, [RUN, name]


def timing(name):
    return f"times {name}", RUN, [RUN, name, "timing"]


def sanitized(tool, name):
    run = f"build/{tool}/test/run"
    return f"{tool} {name}", run, [run, name]


# (name, what make builds for it, command), the cheapest first.
KILLERS = {
    "chan.c": [
        *(explore(name) for name in ("life", "pairs", "fours-deep", "timers", "timer-changes", "polled-pairs", "contexts")),
        watched("watched-asleep"),
        *(suite(name) for name in ("typed", "close", "latest", "regress", "elements", "limits", "select", "fd", "context", "bulk", "faults",
                                   "dump", "notify", "timer", "deadlock")),
        *(watched(name) for name in ("watched-pairs", "watched-timer-changes")),
        *(explore(name) for name in ("polled-triples", "faults-polled", "faults-timers", "faults-contexts", "signals", "fours", "pool",
                                     "triples", "faults-pairs", "faults-pool")),
        ("explore lost-signals", NAPS, [NAPS, "--naps", "--short"]),
        *(suite(name) for name in ("stress", "border")),
        ("soak", SOAK, [SOAK, "1", "1"]),
    ],
    "spawn.c": [
        *(explore(name) for name in ("pool", "pool-random", "faults-pool")),
        watched("watched-pool-random"),
        *(suite(name) for name in ("waitgroup", "tasks", "names", "faults", "pool", "dump", "deadlock", "border")),
    ],
    "extra/chan_timer.c": [
        *(explore(name) for name in ("timers", "timer-changes", "timer-changes-three", "faults-timers", "faults-timer-changes")),
        *(suite(name) for name in ("timer", "fd", "faults", "limits")),
    ],
    "extra/chan_context.c": [
        *(explore(name) for name in ("contexts", "contexts-three", "faults-contexts")),
        *(suite(name) for name in ("context", "faults", "border", "limits")),
    ],
    "extra/chan_group.c": [
        *(explore(name) for name in ("groups", "groups-three", "faults-groups")),
        *(suite(name) for name in ("group", "names", "deadlock", "vendor")),
    ],
    "extra/chan_broadcast.c": [
        *(explore(name) for name in ("broadcasts", "faults-broadcasts", "broadcasts-three")),
        *(suite(name) for name in ("broadcast", "names")),
    ],
    "extra/chan_fd.c": [
        *(explore(name) for name in ("polled-pairs", "timers", "contexts", "polled-triples", "faults-polled", "faults-timers")),
        *(suite(name) for name in ("fd", "timer", "context", "faults", "border")),
    ],
    "extra/chan_signal.c": [
        *(explore(name) for name in ("signals", "signals-random", "faults-signals")),
        *(suite(name) for name in ("notify", "faults", "deadlock", "border")),
    ],
    "extra/chan_watch.c": [
        *(watched(name) for name in ("watched-asleep", "watched-asleep-random", "watched-pairs", "watched-dumped", "watched-pool",
                                     "watched-timer-changes", "watched-contexts")),
        *(suite(name) for name in ("dump", "names", "deadlock", "border", "faults", "notify", "tasks")),
        timing("deadlock"),
    ],
}
for killers in KILLERS.values():
    suites = [command[1] for _, target, command in killers if target == RUN and len(command) == 2 and command[1] not in NOT_SANITIZED]
    killers += [sanitized(tool, name) for tool in SANITIZERS for name in suites]

# Of these functions of chan.c only one suite is likely to see anything, and it is asked first.
ABOUT = [
    (re.compile(r"wait_case|chan_(set_)?name|chan_count"), "test dump"),
    (re.compile(r"chan_add_extra|chan_extra|chan_elem_size"), "test notify"),
]
KILLS = {}      # (file, function): how many each has killed in it
# Seconds: the explorer needs 5 of CPU time for a set, and a test that hangs is ended after 30.
EXPLORER_CPU, TESTS_CPU, SILENCE = 20, 120, 40
# Not those of real-time priorities, which keep the CPUs from the other jobs.
ENVIRONMENT = {"BUILD": "build", "TEST_ROUNDS": "1", "TEST_SEED": "1", "CK_TIMEOUT_MULTIPLIER": "0.5",
               "CK_EXCLUDE_TAGS": "large program realtime", "CK_TAP_LOG_FILE_NAME": "-"}
UNDER_SANITIZERS = {"CK_EXCLUDE_TAGS": "process large many-locks cancelled", "CK_TIMEOUT_MULTIPLIER": "4"}


def limits(cpu, memory):
    """Soft ones: tests set limits of their own."""
    for what, amount in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, cpu), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (amount, resource.getrlimit(what)[1]))


def end_session(session):
    """Ends all that was started in it: Check makes a process group of each test."""
    for _ in range(20):
        left = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.getsid(int(entry)) == session:
                    left.append(int(entry))
                    os.kill(int(entry), signal.SIGKILL)
            except OSError:
                pass
        if not left:
            return
        time.sleep(0.05)


def read_lines(stream, lines):
    for line in stream:
        lines.put(line)
    lines.put(None)


class Tree:
    """A copy of the sources and all that is built from them, where one mutant at a time takes its original's place."""

    def __init__(self, place, model=None):
        self.place, self.built = place, False
        if model:
            shutil.copytree(model.place, place)
        else:
            shutil.copytree(TOP, place, ignore=shutil.ignore_patterns("build", ".git", "__pycache__"))
            if not self.make(EXPLORE, NAPS, WATCHED, RUN, SOAK) or not all(self.make(f"build/{tool}/test/run") for tool in SANITIZERS):
                sys.exit("mutate: the original does not build")
        self.built = True
        self.objects = model.objects if model else {name: self.compile(name) for name in SOURCES}

    def make(self, *targets):
        tool = targets[0].split("/")[1]
        flags = [*FLAGS, f"BUILD=build/{tool}", f"SANITIZE={SANITIZERS[tool]}"] if tool in SANITIZERS else FLAGS
        return subprocess.run(["make", "-s", *flags, *(KEPT if self.built else ()), *targets], cwd=self.place, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def compiles(self, name):
        """A pointer for a number, or of another type, is an error too."""
        return subprocess.run(["cc", "-std=c11", "-pthread", "-I.", "-Iextra", "-fsyntax-only", "-Werror=incompatible-pointer-types",
                               "-Werror=int-conversion", name], cwd=self.place, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def compile(self, name):
        """The object code."""
        out = os.path.join(self.place, "mutant.o")
        subprocess.run(["cc", "-std=c11", "-O2", "-pthread", "-I.", "-Iextra", "-w", "-c", name, "-o", out], cwd=self.place, check=True)
        with open(out, "rb") as code:
            return code.read()

    def fails(self, command):
        """Runs it; whether it failed, or hangs."""
        environment = dict(os.environ, **ENVIRONMENT)
        is_sanitized = command[0].split("/")[1] in SANITIZERS
        if command[0].endswith("/run"):
            environment["CK_RUN_SUITE"] = command[1]
        if command[2:] == ["timing"]:
            environment = {**environment, "CK_INCLUDE_TAGS": "timing", "CK_EXCLUDE_TAGS": "program"}
        if is_sanitized:
            environment = {**environment, **UNDER_SANITIZERS}
        with subprocess.Popen(command, cwd=self.place, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, start_new_session=True,
                              preexec_fn=functools.partial(limits, EXPLORER_CPU if "explore" in command[0] else TESTS_CPU,
                                                           resource.RLIM_INFINITY if is_sanitized else 6 << 30)) as process:
            lines = queue.Queue()
            threading.Thread(target=read_lines, args=(process.stdout, lines), daemon=True).start()
            try:
                failed = any(line.startswith(b"not ok") for line in iter(lambda: lines.get(timeout=SILENCE), None))
                failed = failed or process.wait(SILENCE) != 0
            except (queue.Empty, subprocess.TimeoutExpired):
                failed = True
            end_session(process.pid)
        return failed

    def expect_success(self, memory, names):
        """Of what may be asked about these files."""
        for killer, command in {killer: command for name in names for killer, _, command in KILLERS[name]}.items():
            original = Mutant("original", 0, ("", ""), killer, "", "", "")
            if not memory.recall(original)[0]:
                if self.fails(command):
                    sys.exit(f"mutate: {killer} fails without any change")
                memory.note(original, "survived", 0)

    def judge(self, mutant, hint):
        """The name of the killer; 'compiler', 'same code', 'not built', or 'survived'."""
        original = os.path.join(TOP, mutant.name)
        here = os.path.join(self.place, mutant.name)
        try:
            with open(here, "w", encoding="utf-8") as out:
                out.write(mutant.source)
            if not self.compiles(mutant.name):
                return "compiler"
            return self.first_killer(mutant, hint)
        finally:
            shutil.copyfile(original, here)

    def first_killer(self, mutant, hint):
        """The one that killed it before is asked first, then those that killed its neighbours.

        What the first lets pass may be the same code.
        """
        built = set()
        if not hint and mutant.name == "chan.c":
            hint = next((likely for names, likely in ABOUT if names.search(mutant.key.split(": ")[1])), None)
        kills = KILLS.setdefault((mutant.name, mutant.key.split(": ")[1]), collections.Counter())
        for i, (name, target, command) in enumerate(sorted(KILLERS[mutant.name], key=lambda k: (k[0] != hint, -kills[k[0]]))):
            if i == 1 and self.compile(mutant.name) == self.objects[mutant.name]:
                return "same code"
            if target not in built and not self.make(target):
                return "not built"      # it compiles, so this is a fault of the makefile
            built.add(target)
            if self.fails(command):
                kills[name] += 1
                return name
        return "survived"


# ---- Verdicts ----------------------------------------------------------------------------------------

def known_survivors():
    """Of mutants.txt: key -> 'equivalent' or 'gap'.  A reason stands in a line of its own, the mutants below it."""
    known, kind = {}, None
    with open(KNOWN, encoding="utf-8") as text:
        for line in filter(str.strip, text):
            if line.startswith("\t") and kind:
                known[line.strip()] = kind
            elif not line.startswith(("#", " ")):
                kind = line.split(":")[0]
                if kind not in ("equivalent", "gap"):
                    sys.exit(f"mutate: {KNOWN}: neither equivalent nor gap: {line}")
    return known


def everything():
    """Digest of what can change a verdict: sources, tests and how they are built."""
    texts = []
    for place, _, names in sorted(os.walk(os.path.join(TOP, "test"))):
        texts += [os.path.join(place, name) for name in sorted(names) if name.endswith((".c", ".h", ".mk", "symbols.txt"))]
    return digest(*(open(path, encoding="utf-8").read() for path in
                    texts + [os.path.join(TOP, name) for name in (*SOURCES, "chan.h", "spawn.h", "Makefile")]))


class Memory:
    def __init__(self):
        self.past, self.now = {}, everything()
        os.makedirs(os.path.dirname(MEMORY), exist_ok=True)
        if os.path.exists(MEMORY):
            with open(MEMORY, encoding="utf-8") as text:
                self.past = {entry["key"]: entry for entry in map(json.loads, text)}
        self.file = open(MEMORY, "a", encoding="utf-8")

    def recall(self, mutant):
        """The verdict, if it still holds; and the killer of before."""
        entry = self.past.get(mutant.key, {"verdict": None})
        verdict = entry["verdict"]
        holds = verdict and (entry["everything"] == self.now or
                             (verdict not in ("survived", "same code", "not built") and entry["function"] == mutant.function))
        return verdict if holds else None, verdict

    def note(self, mutant, verdict, seconds):
        print(json.dumps({"key": mutant.key, "verdict": verdict, "seconds": round(seconds, 1), "function": mutant.function,
                          "everything": self.now}), file=self.file, flush=True)


def judge_all(every, jobs, settled):
    """Yields (mutant, verdict) in order; what is settled is not run."""
    memory, trees = Memory(), queue.Queue()
    with tempfile.TemporaryDirectory(prefix="mutants") as place:
        first = Tree(os.path.join(place, "1"))
        first.expect_success(memory, {m.name for m in every})
        trees.put(first)
        for job in range(2, jobs + 1):
            trees.put(Tree(os.path.join(place, str(job)), first))

        def judge(mutant):
            verdict, hint = ("survived", None) if mutant.key in settled else memory.recall(mutant)
            if not verdict:
                tree = trees.get()
                start = time.monotonic()
                verdict = tree.judge(mutant, hint)
                trees.put(tree)
                memory.note(mutant, verdict, time.monotonic() - start)
            return verdict

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            yield from zip(every, pool.map(judge, every))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--doubt", action="store_true", help="run those too that mutants.txt names")
    parser.add_argument("--only", default="")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()

    every = list(all_mutants())
    stale = set(known_survivors()) - {m.key for m in every}
    every = [m for m in every if m.key.replace(": ", ":").startswith(tuple(options.only.split(",")))]
    if options.sample and options.sample < len(every):
        every = random.Random(options.seed).sample(every, options.sample)
    if options.list:
        print("\n".join(m.key for m in every))
        return 0

    known, counts, wrong = known_survivors(), {}, 0
    settled = set() if options.doubt else set(known)
    for mutant, verdict in judge_all(every, options.jobs, settled):
        reason = known.get(mutant.key)
        if verdict == "survived" and reason:
            verdict = reason
        elif verdict in ("survived", "not built") or (reason == "equivalent" and verdict != "same code"):
            wrong += 1
            print(f"{verdict}{', but called equivalent' if reason else ''}: {mutant.key}", flush=True)
        counts[verdict] = counts.get(verdict, 0) + 1
    for key in sorted(stale):
        print(f"no such mutant any more: {key}")
    for verdict, n in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"{n:5} {verdict}")
    killed = sum(n for verdict, n in counts.items() if verdict.startswith(("explore", "test", "times", "soak", "asan", "tsan")))
    counted = killed + counts.get("gap", 0) + counts.get("survived", 0)
    print(f"mutation score: {killed} of {counted} mutants killed, {100 * killed / max(counted, 1):.1f} %; "
          f"{counts.get('equivalent', 0) + counts.get('same code', 0)} more are equivalent, {counts.get('compiler', 0)} are no C")
    return 1 if wrong or stale else 0


if __name__ == "__main__":
    sys.exit(main())
