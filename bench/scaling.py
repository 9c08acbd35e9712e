#!/usr/bin/env python3
"""How this library grows with the number of threads on this machine: make bench-scaling.

    python3 bench/scaling.py --build build --runs 3 --threads 1,2,4,8

Prints a table for bench/README.md, and writes build/bench/scaling.json and scaling.svg:

    {"machine": [lines of text], "cpus": CPUs that may be used,
     "results": {row: {form: {threads: {"wall": [a number for each run], "cpu": [likewise]}}}}}

wall is nanoseconds of the clock for each element of all threads together, cpu nanoseconds of all their
CPU time.  FORMS has the rows and forms.  threads is the number of producers, or of workers; of consumers
too, where a row has more than one.
"""
import argparse
import json
import os
import statistics
import sys

import plot
import run

RESTS = 60         # seconds for all of them

ROWS = {
    "W2": "pairs of threads, a channel for each pair",
    "W5": "producers, one consumer",
    "W6": "producers and as many consumers",
    "W7": "producers into a select over 8, unbuffered; a channel each: a producer's select to so many workers",
    "W7b": "as W7, capacity 64",
    "WATCH": "threads that enter the list of those asleep and leave it, and do nothing else",
}
FORMS = {  # row: {form: the program and its workload}
    "W2": {"shards": ("shards", "W2-pairs"), "bulk": ("shards", "W2-bulk")},
    "W5": {"ours": ("ours", "W5"), "shards": ("shards", "W5-select"), "drain": ("shards", "W5-drain"),
           "bulk": ("shards", "W5-bulk"),
           "go": ("go", "W5"), "crossbeam": ("crossbeam", "W5")},
    "W6": {"ours": ("ours", "W6"), "shards": ("shards", "W6-keys"), "bulk": ("shards", "W6-bulk"),
           "go": ("go", "W6"), "crossbeam": ("crossbeam", "W6")},
    "W7": {"ours": ("ours", "W7"), "shards": ("shards", "W7-workers"),
           "go": ("go", "W7"), "crossbeam": ("crossbeam", "W7")},
    "W7b": {"ours": ("ours", "W7b"), "shards": ("shards", "W7b-workers"),
            "go": ("go", "W7b"), "crossbeam": ("crossbeam", "W7b")},
    "WATCH": {"watch": ("shards", "WATCH")},
}


def usable_cpus():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def powers_of_two(most):
    return [2 ** i for i in range(most.bit_length())]


def jobs_of(options):
    jobs = []
    for row, forms in FORMS.items():
        for k in options.threads:
            for form, (program, name) in forms.items():
                if os.path.exists(os.path.join(options.build, "bench", program)):
                    jobs.append(run.Job(options, (row, form, str(k)), program, name, mode="cold",
                                        extra=[k], rounds=options.runs))
    return jobs


def results_of(jobs):
    results = {}
    for job in jobs:
        row, form, k = job.key
        if job.failure:
            print(f"{row} {form}, {k} threads: {job.failure}", file=sys.stderr)
        else:
            figures = {"wall": job.values[job.name], "cpu": job.values["CPU"]}
            results.setdefault(row, {}).setdefault(form, {})[k] = figures
    return results


def tables(data):
    """For each row what one element takes, and in brackets its CPU time, by how many threads there are."""
    text = []
    for row in ROWS:
        forms = data["results"].get(row, {})
        numbers = sorted({int(k) for of in forms.values() for k in of})
        lines = []
        for form, of in forms.items():
            cells = [of.get(str(k)) for k in numbers]
            lines.append([plot.FORMS[form][0]] + [c and f"{run.number(statistics.median(c['wall']))} "
                                                  f"({run.number(statistics.median(c['cpu']))})" or "" for c in cells])
        text.append(f"{row}: {ROWS[row]}\n\n" + run.table([""] + [str(k) for k in numbers], lines))
    return "\n".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="where the programs are: build")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--budget", type=float, default=0.1, help="seconds that one run takes: 0.1")
    parser.add_argument("--threads", type=lambda text: [int(k) for k in text.split(",")],
                        default=powers_of_two(max(usable_cpus(), 4)),
                        help="1,2,4 and so on up to the CPUs, at least to 4")
    options = parser.parse_args()
    jobs = jobs_of(options)
    if not jobs:
        parser.error("nothing is built")
    run.REST = min(run.REST, RESTS / len(jobs) / options.runs)
    run.run_all(jobs)
    data = {"machine": run.machine(options), "cpus": usable_cpus(), "results": results_of(jobs)}
    directory = os.path.join(options.build, "bench")
    with open(os.path.join(directory, "scaling.json"), "w") as file:
        json.dump(data, file, indent=1)
    plotted = {row: forms for row, forms in data["results"].items() if row != "WATCH"}
    plot.draw_scaling(os.path.join(directory, "scaling.svg"), plotted)
    print("".join(f"- {line}\n" for line in data["machine"]))
    print("Nanoseconds for each element of all threads together, and in brackets their CPU time; medians.\n")
    print(tables(data))
    return 1 if any(job.failure for job in jobs) else 0


if __name__ == "__main__":
    sys.exit(main())
