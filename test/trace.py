"""Checks a trace and says what is in it: trace.py FILE

Every arrow leads from a send to the receive of the same element, no earlier than it was
sent; what waits does so within its operation, and that within its task; no channel has
more elements than fit.
"""
import bisect
import collections
import json
import sys

SLACK = 0.0015                  # microseconds: times are cut to nanoseconds


def fail(reason, *events):
    sys.exit("\n".join([reason, *map(str, events)]))


def slices_of(events, *categories):
    lanes = collections.defaultdict(list)
    for e in events:
        if e["ph"] == "X" and e["cat"] in categories:
            lanes[e["tid"]].append(e)
    for lane in lanes.values():
        lane.sort(key=lambda e: e["ts"])
    return lanes


def contains(outer, begin, end):
    return outer["ts"] - SLACK <= begin and end <= outer["ts"] + outer["dur"] + SLACK


def around(lane, begin, end):
    """The slices of a lane, none of which is inside of another one, in which this lies."""
    after = bisect.bisect_right(lane, begin + SLACK, key=lambda e: e["ts"])
    return [e for e in lane[max(0, after - 3):after] if contains(e, begin, end)]


def operation_at(operations, arrow, verb):
    found = [o for o in around(operations[arrow["tid"]], arrow["ts"], arrow["ts"])
             if verb in o["name"] and o["args"].get("channel") == arrow["name"]]
    return found or fail("an arrow has no operation", arrow)


def check_messages(events):
    operations = slices_of(events, "send", "receive", "select")
    ends = collections.defaultdict(dict)
    for e in events:
        if e["ph"] in "sf" and e["cat"] == "message":
            if e["ph"] in ends[e["id"]]:
                fail("an arrow has two ends of a kind", e)
            ends[e["id"]][e["ph"]] = e
    for pair in ends.values():
        if len(pair) != 2 or pair["f"]["ts"] < pair["s"]["ts"]:
            fail("an arrow lacks an end, or leads back in time", pair)
        sent = operation_at(operations, pair["s"], "send")
        received = operation_at(operations, pair["f"], "receive")
        values = {o["args"].get("value") for o in received}
        if "value" in pair["s"]["args"] and pair["s"]["args"]["value"] not in values | {None}:
            fail("an arrow leads to another element", pair, sent, received)
    return len(ends)


def check_nesting(events):
    tasks = slices_of(events, "task")
    operations = slices_of(events, "send", "receive", "select", "close", "spawn", "wait group")
    waits = slices_of(events, "waiting")
    for inner, outer in (waits, operations), (operations, tasks):
        for lane in inner:
            for e in inner[lane]:
                if outer[lane] and not around(outer[lane], e["ts"], e["ts"] + e["dur"]):
                    fail("a slice stands outside of its own", e)
    return sum(map(len, waits.values()))


def check_levels(events):
    capacities = {e["args"]["name"]: e["args"]["capacity"] for e in events if e["name"] == "channel"}
    for name, capacity in capacities.items():
        levels = [e["args"]["elements"] for e in events if e["ph"] == "C" and e["name"] == name]
        moved = sum(e["args"].get("elements", 0) for e in events
                    if e["ph"] == "X" and e["args"].get("channel") == name)
        if any(level > capacity for level in levels) or (capacity == 0 and levels):
            fail("a channel has more elements than fit", name, levels)
        if capacity > 0 and moved > 0 and not levels:
            fail("a channel has no levels", name)
    return len(capacities)


def check_lanes(events):
    names = [(e["tid"], e["args"]["name"]) for e in events if e["name"] == "thread_name"]
    if len({lane for lane, _ in names}) != len(names):
        fail("a lane has two names", names)
    if {e["tid"] for e in events if e["ph"] in "Xsf"} - {lane for lane, _ in names}:
        fail("a lane has no name", names)
    return sorted(name for _, name in names)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        trace = json.load(file)
    events = trace["traceEvents"]
    lanes = check_lanes(events)
    messages = check_messages(events)
    waits = check_nesting(events)
    channels = check_levels(events)
    print(f"{len(lanes)} lanes, {channels} channels, {messages} messages, {waits} waits:", ", ".join(lanes))


main()
