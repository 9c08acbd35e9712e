#!/usr/bin/env python3
"""judge.py - compares what the tests did not reach with the exceptions that are allowed

    judge.py DIRECTORY EXCEPTIONS

The counters of gcc's --coverage lie below DIRECTORY.  A line of EXCEPTIONS names a line of
the sources by its text:

    FILE FUNCTION KIND: the line's text  #  the reason

KIND is `line` for a line that never runs (its branches included), `branch` for one of
whose branches some are never taken, and `race` for a branch or line that runs only when
threads meet in a rare way, so that it is reached in some runs and not in others.  What is
not reached and not excepted fails; so does an exception that is not needed any more,
except that a race may be won: for it the line must only be there.
"""
import glob
import json
import os
import re
import subprocess
import sys

SOURCES = {os.path.basename(path): path for path in ["chan.c", "spawn.c", *sorted(glob.glob("extra/chan_*.c"))]}


def count(directory):
    """By file and line number: function, how often it ran, how often each branch was taken."""
    counted = {}
    data = [os.path.join(place, name) for place, _, names in os.walk(directory) for name in names if name.endswith(".gcda")]
    output = subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--stdout"] + data,
                            check=True, capture_output=True, text=True).stdout
    for document in output.splitlines():
        for file in json.loads(document)["files"]:
            name = os.path.basename(file["file"])
            if name not in SOURCES:
                continue
            for line in file["lines"]:
                at = counted.setdefault((name, line["line_number"]), [line.get("function_name", ""), 0, {}])
                # Threads that ran during a dump can make a count negative.
                at[1] += max(0, line["count"])
                for i, branch in enumerate(line["branches"]):
                    at[2][i] = at[2].get(i, 0) + max(0, branch["count"])
    return counted


def read_exceptions(path):
    exceptions = {}
    with open(path) as text:
        for number, line in enumerate(text, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            match = re.match(r"(\S+) (\S+) (line|branch|race): (.*?)  #  (.+)$", line)
            if not match:
                sys.exit(f"{path}:{number}: not understood: {line}")
            exceptions[(match.group(1), match.group(2), match.group(4))] = match.group(3)
    return exceptions


def main():
    directory, exceptions_path = sys.argv[1:]
    exceptions = read_exceptions(exceptions_path)
    texts = {}
    for name, path in SOURCES.items():
        with open(path) as source:
            texts[name] = [""] + [line.strip() for line in source.read().split("\n")]
    needed, present, missing = set(), set(), []
    lines = lines_run = branches = branches_taken = excepted_lines = excepted_branches = 0
    for (name, number), (function, ran, taken) in sorted(count(directory).items()):
        text = texts[name][number]
        key = (name, function, text)
        kind = exceptions.get(key)
        if kind:
            present.add(key)
        untaken = sum(times == 0 for times in taken.values())
        lines += 1
        lines_run += ran > 0
        branches += len(taken)
        branches_taken += len(taken) - untaken
        if ran > 0 and not untaken:
            continue
        if kind in ("line", "race") or (kind == "branch" and ran > 0):
            needed.add(key)
            excepted_lines += ran == 0
            excepted_branches += untaken
        else:
            what = "never runs" if ran == 0 else f"{untaken} of {len(taken)} branches never taken"
            missing.append(f"{name}:{number}: {function}: {what}: {text}")
    stale = [key for key, kind in exceptions.items() if key not in (present if kind == "race" else needed)]

    print(f"lines:    {lines_run} of {lines} run, {excepted_lines} excepted by name")
    print(f"branches: {branches_taken} of {branches} taken, {excepted_branches} excepted by name")
    for text in missing:
        print("not reached:", text)
    for key in stale:
        print("exception not needed any more: {} {}: {}".format(*key))
    sys.exit(bool(missing or stale or not lines))


main()
