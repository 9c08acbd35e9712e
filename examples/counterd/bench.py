"""bench.py BUILD/examples RUNS: counterd in C and in Go under the same load, one after the other, again and again."""
import os
import re
import statistics
import subprocess
import sys
import tempfile

SERVERS = ("counterd", "counterd-go")
LOADS = (("one request at a time", "1", "200000"), ("16 requests at a time", "16", "1000000"))
ROWS = (("requests/s", "{:.0f}"), ("latency, median (us)", "{:.0f}"), ("latency, 99 % (us)", "{:.0f}"),
        ("peak resident (MiB)", "{:.1f}"), ("CPU (us/request)", "{:.1f}"))


def peak_resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]) / 1024


def cpu_us(pid):
    with open(f"/proc/{pid}/stat") as stat:
        user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) * 1e6 / os.sysconf("SC_CLK_TCK")


def measure(directory, server, depth, requests):
    """The figures of ROWS for a fresh server under one load."""
    with tempfile.TemporaryDirectory() as scratch:
        daemon = subprocess.Popen([f"{directory}/{server}", "-p", "0", "-f", f"{scratch}/snapshot"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = daemon.stdout.readline().rsplit(":", 1)[1].strip()
        said = subprocess.run([f"{directory}/counterd-load", "-p", port, "-d", depth, "-n", requests],
                              stdout=subprocess.PIPE, check=True, text=True).stdout
        figures = [float(n) for n in re.search(r"(\d+) requests/s, latency (\d+) us .*, (\d+) us", said).groups()]
        figures += [peak_resident(daemon.pid), cpu_us(daemon.pid) / int(requests)]
        daemon.terminate()
        if daemon.wait() != 0:
            sys.exit(f"{server} ended with {daemon.returncode}")
    return figures


def main():
    directory, runs = sys.argv[1], int(sys.argv[2])
    print(f"100 connections, {os.cpu_count()} CPUs; median of {runs} runs, least and greatest")
    for title, depth, requests in LOADS:
        figures = {server: [] for server in SERVERS}
        for _ in range(runs):
            for server in SERVERS:
                figures[server].append(measure(directory, server, depth, requests))
        print(f"\n{title:24}" + "".join(f"{server:>34}" for server in SERVERS))
        for i, (name, form) in enumerate(ROWS):
            print(f"{name:24}", end="")
            for server in SERVERS:
                column = [run[i] for run in figures[server]]
                middle, least, greatest = (form.format(f(column)) for f in (statistics.median, min, max))
                print(f"{f'{middle}  ({least} to {greatest})':>34}", end="")
            print()


main()
