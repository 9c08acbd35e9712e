#!/usr/bin/env python3
"""workflow.py FILE...: whether a workflow file can be read, and what is wrong with it as far as that shows here

Each job has a machine, a limit of time and steps; each step does one thing; its shell lines can be parsed; the
files that it names exist.  What only the host of the repository knows, labels of machines and versions of
actions, is not looked at.
"""
import os
import re
import subprocess
import sys

import yaml


class Loader(yaml.SafeLoader):
    """Refuses a key that comes twice, and takes `on` for a word."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: twice: {', '.join(sorted(twice))}")
        return super().construct_mapping(node, deep)


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

STEP = {"name", "uses", "with", "run", "env", "shell", "continue-on-error", "if", "id", "timeout-minutes"}
JOB = {"name", "runs-on", "container", "steps", "strategy", "timeout-minutes", "defaults", "env", "needs", "if",
       "continue-on-error"}
TOP = {"name", "on", "permissions", "concurrency", "jobs", "env", "defaults"}
FILE = re.compile(r"(?<![\w/.-])(?:\.ci/|test/|packaging/)[\w./-]+")


def faults_of_script(script):
    plain = re.sub(r"\$\{\{.*?\}\}", "expression", script)
    parsed = subprocess.run(["sh", "-n"], input=plain, capture_output=True, text=True)
    if parsed.returncode != 0:
        yield parsed.stderr.strip()
    for name in FILE.findall(plain):
        if not os.path.exists(name):
            yield f"{name} does not exist"


def faults_of_step(step):
    yield from (f"unknown: {key}" for key in sorted(set(step) - STEP))
    if ("run" in step) == ("uses" in step):
        yield "not one of run and uses"
    if "uses" in step and not re.fullmatch(r"[\w-]+/[\w./-]+@\w[\w.]*", step["uses"]):
        yield f"no action and version: {step['uses']}"
    for script in (step.get("run"), (step.get("with") or {}).get("run")):
        if script is not None:
            yield from faults_of_script(script)


def faults_of_job(job):
    yield from (f"unknown: {key}" for key in sorted(set(job) - JOB))
    yield from (f"has no {key}" for key in ("runs-on", "steps", "timeout-minutes") if not job.get(key))
    matrix = (job.get("strategy") or {}).get("matrix") or {}
    known = set(matrix) | {key for row in matrix.get("include", []) for key in row}
    for name in re.findall(r"\$\{\{ *matrix\.(\w+)", yaml.dump(job)):
        if name not in known:
            yield f"matrix.{name} is not in the matrix"
    for number, step in enumerate(job.get("steps") or [], 1):
        yield from (f"step {number}: {fault}" for fault in faults_of_step(step))


def faults_of(path):
    try:
        with open(path, encoding="utf-8") as file:
            workflow = yaml.load(file, Loader)
    except (OSError, yaml.YAMLError) as error:
        yield str(error)
        return
    yield from (f"unknown: {key}" for key in sorted(set(workflow) - TOP))
    yield from (f"has no {key}" for key in ("on", "jobs") if not workflow.get(key))
    for name, job in (workflow.get("jobs") or {}).items():
        yield from (f"{name}: {fault}" for fault in faults_of_job(job))


def main():
    status = 0
    for path in sys.argv[1:]:
        for fault in faults_of(path):
            print(f"{path}: {fault}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
