#!/usr/bin/env python3
"""mutate.py - changes chan.c and spawn.c in small ways and sees whether the tests notice

    test/mutate.py [--list] [--only FILE[:LINE]] [--sample N] [--seed N] [--jobs N]

Each mutant is one small change to a copy of the sources.  The tests run against it from
the fastest to the slowest until one fails: then the mutant is killed.  A hang is a
failure too.  Survivors that are known stand in mutants.txt, each with the reason why no
test can tell it from the original (equivalent) or why none does yet (gap); one that is not
there makes the exit status 1.  The score counts all mutants that are not equivalent.
"""
import argparse
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KNOWN = os.path.join(TOP, "test", "mutants.txt")
CFLAGS = "-std=c11 -g -O1 -pthread -w".split()

# What to run on a mutant in directory {dir}: name, command, seconds.
KILLERS = [
    ("soak", "cc {flags} -DCHAN_SPIN=0 test/soak.c -o {dir}/soak && {dir}/soak 2 1", 20),
    ("explore", "make -s explore-short BUILD={dir}/build", 240),
    ("test", "make -s test BUILD={dir}/build CK_FORK=yes", 400),
]

# (what, pattern, replacement): tried at every place of every line of code.
RULES = [
    ("negate", r"\b(if|while) \((.*)\)( \{)?$", r"\1 (!(\2))\3"),
    ("negate loop", r"^\} while \((.*)\);$", r"} while (!(\1));"),
    ("and/or", r"&&", "||"),
    ("or/and", r"\|\|", "&&"),
    ("less or equal", r" < ", " <= "),
    ("less", r" <= ", " < "),
    ("greater or equal", r" > ", " >= "),
    ("greater", r" >= ", " > "),
    ("unequal", r" == ", " != "),
    ("equal", r" != ", " == "),
    ("minus", r" \+ ", " - "),
    ("plus", r" - ", " + "),
    ("decrement", r"\+\+", "--"),
    ("increment", r"--", "++"),
    ("subtract", r" \+= ", " -= "),
    ("add", r" -= ", " += "),
    ("one more", r"(?<![\w.])(0|1|2)(?![\w.])", lambda m: str(int(m.group(0)) + 1)),
    ("false", r"\btrue\b", "false"),
    ("true", r"\bfalse\b", "true"),
    ("broadcast", r"pthread_cond_signal\(", "pthread_cond_broadcast("),
    ("signal", r"pthread_cond_broadcast\(", "pthread_cond_signal("),
    ("relaxed", r"memory_order_(acquire|release|acq_rel)", "memory_order_relaxed"),
    ("other side", r"->receivers\b", "->senders"),
    ("other side", r"->senders\b", "->receivers"),
    ("next/prev", r"->next\b", "->prev"),
    ("first/last", r"->first\b", "->last"),
    ("NULL", r"return (w|s|done|chosen|memory|c);$", "return NULL;"),
    ("drop", r"^(?!return|break|continue|case|default|goto|static|const|struct|size_t|int |bool |void |unsigned|volatile"
             r"|chan \*|pthread_\w+_t |sigset_t|uint|alignas|\}|\{|#|enum|if|for|while|do\b|else|waitgroup \w+ =).*;$", ";"),
    ("skip return", r"^return;$", ";"),
    ("other errno", r"\bEPIPE\b", "ETIMEDOUT"),
    ("other errno", r"\bETIMEDOUT\b", "EPIPE"),
]


def code_lines(text):
    """(number, indentation, code without comment) of the lines inside functions."""
    inside = comment = False
    for number, line in enumerate(text.split("\n")):
        if line.startswith("}"):
            inside = False
        stripped = line.strip()
        if comment or stripped.startswith("/*"):
            comment = "*/" not in stripped
            continue
        if inside and stripped and not stripped.startswith("#"):
            code = re.sub(r"\s*/\*.*?\*/", "", stripped)
            yield number, line[: len(line) - len(line.lstrip())], code
        if line == "{":
            inside = True


def mutants(name):
    text = open(os.path.join(TOP, name)).read()
    lines = text.split("\n")
    for number, indent, code in code_lines(text):
        for what, pattern, replacement in RULES:
            for match in re.finditer(pattern, code):
                changed = code[: match.start()] + match.expand(replacement) + code[match.end():] \
                    if isinstance(replacement, str) else code[: match.start()] + replacement(match) + code[match.end():]
                if changed != code:
                    yield name, number + 1, what, code, changed, \
                        "\n".join(lines[:number] + [indent + changed] + lines[number + 1:])
    yield from lock_pairs(name, lines)


def lock_pairs(name, lines):
    """Each function with one lock and one unlock loses both."""
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        if line == "}" and start is not None:
            body = range(start, number)
            locks = [i for i in body if re.match(r"\s+(pthread_mutex_)?lock(_pool)?\(", lines[i])]
            unlocks = [i for i in body if re.match(r"\s+(pthread_mutex_)?unlock(_pool)?\(", lines[i])]
            if len(locks) == 1 and len(unlocks) == 1:
                changed = ["" if i in locks + unlocks else text for i, text in enumerate(lines)]
                yield name, locks[0] + 1, "lock pair", lines[locks[0]].strip(), "(no lock)", "\n".join(changed)
            start = None


def key(mutant):
    name, _, what, code, changed, _ = mutant
    return f"{name}: {what}: {code}  =>  {changed}"


def run(command, seconds, cwd):
    try:
        done = subprocess.run(["timeout", "-k", "5", str(seconds), "sh", "-c", command], cwd=cwd,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0
    except OSError as error:
        sys.exit(f"mutate: {error}")


def judge(mutant):
    """The name of the killer, 'compiler', or None."""
    name, source = mutant[0], mutant[5]
    with tempfile.TemporaryDirectory(prefix="mutant") as place:
        tree = os.path.join(place, "tree")
        shutil.copytree(TOP, tree, ignore=shutil.ignore_patterns("build", ".git"))
        with open(os.path.join(tree, name), "w") as out:
            out.write(source)
        if not run(f"cc {' '.join(CFLAGS)} -c {name} -o {place}/mutant.o", 60, tree):
            return "compiler"
        for killer, command, seconds in KILLERS:
            if not run(command.format(dir=place, flags=" ".join(CFLAGS)), seconds, tree):
                return killer
    return None


def known_survivors():
    known = {}
    if os.path.exists(KNOWN):
        for line in open(KNOWN):
            match = re.match(r"(equivalent|gap): (.*?)  #  (.*)", line.rstrip("\n"))
            if match:
                known[match.group(2)] = match.group(1)
    return known


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()

    every = [m for name in ("chan.c", "spawn.c") for m in mutants(name) if f"{m[0]}:{m[1]}".startswith(options.only)]
    if options.sample and options.sample < len(every):
        every = random.Random(options.seed).sample(every, options.sample)
    if options.list:
        print("\n".join(f"{m[0]}:{m[1]}: {m[2]}: {m[3]}  =>  {m[4]}" for m in every))
        return 0

    known, counts, unknown = known_survivors(), {}, []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for mutant, verdict in zip(every, pool.map(judge, every)):
            verdict = verdict or known.get(key(mutant), "survived")
            counts[verdict] = counts.get(verdict, 0) + 1
            if verdict == "survived":
                unknown.append(mutant)
                print(f"survived: {mutant[0]}:{mutant[1]}: {key(mutant)}", flush=True)
    counted = len(every) - counts.get("compiler", 0) - counts.get("equivalent", 0)
    killed = sum(counts.get(name, 0) for name, _, _ in KILLERS)
    print(", ".join(f"{verdict}: {n}" for verdict, n in sorted(counts.items())))
    print(f"mutation score: {killed} of {counted} killed, {100 * killed / max(counted, 1):.1f} %")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
