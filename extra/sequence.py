#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sequence.py - draws a trace of tasks and channels as a sequence chart

    sequence.py TRACE.json [-o OUT.svg] [--title TEXT] [--from US] [--to US] [--most N]

Reads Trace Event JSON, as a program compiled with -DCHAN_TRACE writes it, and writes an SVG picture that needs
nothing else: time runs to the right, each task has a lane, each message is an arrow, and below the lanes stands
how full each buffered channel was.  Time is not to scale: what happens within a microsecond gets room for its
label, and a long wait little more than that.
"""
import argparse
import bisect
import json
import math
import os
import re
import sys
import textwrap
import unicodedata
from dataclasses import dataclass, field, replace

OPERATIONS = ("send", "receive", "select", "close", "spawn", "wait group", "shutdown", "step")
DETAILS = ("channel", "value", "elements", "first", "result", "cases", "winner")
COLORS = ("#3b82d6", "#d9730d", "#2f9e44", "#9c5cd6", "#0c95a0", "#d6458f", "#8a8500", "#a8683c")
GREY, RED = "#7d8590", "#e5484d"        # the classes c8 and c9
LIGHT = ("#ffffff", "#1f2328", "#59636e", "#d5dae0")    # page, text, faint text, lines
DARK = ("#0d1117", "#e6edf3", "#9198a1", "#3d444d")

FONT = 11                       # pixels, and so is all below
LINE = 12                       # from one line of a label to the next
GAP = 36                        # between the boxes of neighbouring lanes, where the arrows' labels stand
STRIP = 34                      # height of a channel's fill level
MARGIN = 16
FADE = 40                       # where what goes on after the last moment fades out
NARROWEST = 720

CROSS = '<circle r="7" class="alarm"/><path d="M-3 -3L3 3M3 -3L-3 3" stroke="#fff" stroke-width="2"/>'


class Problem(Exception):
    """What is wrong with the trace, for the user."""


# ---- Text ------------------------------------------------------------------------------------------------------

def width(text):
    """An upper estimate, because nobody knows which font it will be; DejaVu Sans is one of the widest."""
    def of(c):
        if unicodedata.east_asian_width(c) in "WF":
            return 1.05
        return 0.42 if c in "iljtfr.,:;'|!()[] " else 1 if c in "mwMW@%" else 0.77 if c.isupper() else 0.64
    return FONT * sum(map(of, text))


def short(text, most=24):
    return text if len(text) <= most else text[:most - 1] + "…"


def escape(text):
    """Programs may send anything, XML forbids some of it even when escaped."""
    text = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def moment(ns, before=None):
    """With as many digits as tell it from the one before it."""
    unit, name = (1e9, "s") if ns >= 1e9 else (1e6, "ms") if ns >= 1e6 else (1e3, "µs")
    digits = 1
    while digits < 9 and before is not None and f"{before / unit:.{digits}f}" == f"{ns / unit:.{digits}f}":
        digits += 1
    return f"{ns / unit:.{digits}f} {name}" if ns else "0"


def counted(n, what):
    return f"{n:,} {what}" + ("" if n == 1 else "s")


# ---- Reading ---------------------------------------------------------------------------------------------------

@dataclass
class Slice:
    """A stretch of a lane: a task's life, an operation, a wait.  Times are nanoseconds everywhere."""
    lane: int
    kind: str
    start: int
    end: int
    unended: bool               # when the trace was written
    channel: str = ""
    label: list = field(default_factory=list)   # its lines
    tip: str = ""
    row: int = 0                # below others that contain it
    leaves: bool = False        # goes on where the picture ends


@dataclass
class Arrow:
    kind: str                   # "message" or "start"
    source: int
    target: int
    start: int
    end: int
    channel: str
    label: str


@dataclass
class Trace:
    program: str = ""
    names: dict = field(default_factory=dict)           # of lanes
    order: dict = field(default_factory=dict)
    tasks: list = field(default_factory=list)
    operations: list = field(default_factory=list)
    waits: list = field(default_factory=list)
    arrows: list = field(default_factory=list)
    verdicts: list = field(default_factory=list)        # (time or None if it is not in the picture, lane, text)
    levels: dict = field(default_factory=dict)          # channel: [(time, elements)]
    capacities: dict = field(default_factory=dict)

    def lanes(self):
        """All, but of very many only those in which something happens."""
        busy = {s.lane for s in self.operations + self.waits}
        busy |= {lane for a in self.arrows for lane in (a.source, a.target)}
        there = busy | {task.lane for task in self.tasks}
        return sorted(there if len(there) <= 40 else busy, key=lambda lane: (self.order.get(lane, lane), lane))

    def name(self, lane):
        return short(self.names.get(lane, f"thread {lane}"))

    def steps(self):
        """The explorer counts steps where the recorder has a clock."""
        return any(o.kind == "step" for o in self.operations)


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        raise Problem(error.strerror)
    except (ValueError, RecursionError) as error:
        raise Problem(f"no JSON: {error}")
    events = data.get("traceEvents") if isinstance(data, dict) else None
    if not isinstance(events, list) or not events:
        raise Problem("no events: this is not a trace")
    return events, data.get("otherData")


def number(event, key):
    value = event.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e15:
        raise Problem(f'"{key}" is no number that makes sense: {short(json.dumps(value), 60)}')
    return value


def nanoseconds(event, key):
    return round(number(event, key) * 1000)


def words(event, key):
    value = event.get(key, "")
    if not isinstance(value, (str, int, float)):
        raise Problem(f'"{key}" is no text: {short(json.dumps(value), 60)}')
    return str(value)


def channel_of(event, args):
    """An operation that is not over has it in its name alone."""
    named = words(event, "name").partition(" ")[2] if event["cat"] in ("send", "receive", "close") else ""
    return words(args, "channel") or named


def what(args, channel):
    """What was sent: the value, or the channel's name where no printer gave one, and how many elements."""
    if "value" in args:
        return short(words(args, "value"), 16)
    n = number(args, "elements") if "elements" in args else 1
    return short(channel) + (f" ×{n}" if n > 1 else "")


def verb(kind):
    return "recv" if kind == "receive" else kind


def label(event, args):
    kind, name = event["cat"], words(event, "name")
    if kind == "step":
        done, _, where = name.partition(" (")
        lines = textwrap.wrap(done, 40, max_lines=3, placeholder="…")
        return lines + [short(f"({where}", 40)] * (where != "")
    channel = channel_of(event, args)
    text = short(name, 32)
    if kind in ("send", "receive"):
        text = f"{verb(kind)} {what(args, channel)}"
        if args.get("unended") and "value" in args:
            text += f" to {short(channel)}"
    elif kind == "select" and channel:
        done = name.partition(": ")[2].partition(" ")[0]
        text = f"select: {verb(done)} {short(channel)}" + (" " + what(args, channel) if "value" in args else "")
    return [text + (f": {words(args, 'result')}" if "result" in args else "")]


def slice_of(event, args):
    start, long = nanoseconds(event, "ts"), nanoseconds(event, "dur")
    made = Slice(number(event, "tid"), event["cat"], start, start + max(long, 1), args.get("unended") is True)
    if made.kind in OPERATIONS:
        made.channel, made.label = channel_of(event, args), label(event, args)
        details = [f"{key} {args[key]}" for key in DETAILS if key in args]
        details += [] if made.kind == "step" else [f"from {moment(start)}", f"for {moment(long)}"]
        made.tip = ": ".join(filter(None, [words(event, "name"), ", ".join(details)]))
    return made


def describe(trace, event, args):
    """Keeps what a metadata event says."""
    lane, name = number(event, "tid"), event.get("name")
    if name == "thread_name":
        trace.names[lane] = words(args, "name")
    elif name == "thread_sort_index":
        trace.order[lane] = number(args, "sort_index")
    elif name == "process_name":
        trace.program = words(args, "name")
    elif name == "channel":
        trace.capacities[words(args, "name")] = number(args, "capacity")


def take(trace, halves, event):
    """Puts an event where it belongs; those of other tools, which say nothing here, nowhere."""
    if not isinstance(event, dict) or not isinstance(event.get("args", {}), dict):
        raise Problem("no object")
    phase, kind, args = event.get("ph"), event.get("cat"), event.get("args", {})
    if phase == "M":
        describe(trace, event, args)
    elif phase == "X" and kind in OPERATIONS + ("task", "waiting"):
        {"task": trace.tasks, "waiting": trace.waits}.get(kind, trace.operations).append(slice_of(event, args))
    elif phase == "C" and kind == "level":
        trace.levels.setdefault(words(event, "name"), []).append((nanoseconds(event, "ts"), number(args, "elements")))
    elif phase == "i" and kind == "verdict":
        trace.verdicts.append((nanoseconds(event, "ts"), number(event, "tid"), words(event, "name")))
    elif phase in ("s", "f") and kind in ("message", "start"):
        lane, t, channel = number(event, "tid"), nanoseconds(event, "ts"), words(args, "channel")
        ends = halves.setdefault((kind, words(event, "id")), {})
        ends[phase] = Arrow(kind, lane, lane, t, t, channel, what(args, channel))
        if len(ends) == 2:
            trace.arrows.append(replace(ends["s"], target=ends["f"].target, end=ends["f"].end))
            ends.clear()


def sort_out(events):
    trace, halves = Trace(), {}         # halves: one end of an arrow, until there is the other
    for index, event in enumerate(events):
        try:
            take(trace, halves, event)
        except Problem as problem:
            raise Problem(f"event {index + 1} is malformed: {problem}")
    return trace


# ---- What is drawn of it ---------------------------------------------------------------------------------------

def until_the_end(trace):
    """What had not ended goes on to the last moment."""
    slices = trace.tasks + trace.operations + trace.waits
    last = max([s.end for s in slices] + [t for t, _, _ in trace.verdicts], default=0)
    for s in slices:
        s.end = last if s.unended else s.end


def cut(trace, first, last, most):
    """The part of the trace from first to last, with no more than so many operations."""
    inside = sorted((o for o in trace.operations if o.end > first and o.start < last), key=lambda o: o.start)
    if len(inside) > most:
        last = max(inside[most].start, inside[most - 1].start + 1)

    def part(slices):
        return [replace(s, start=max(s.start, first), end=min(s.end, last), leaves=s.unended or s.end > last)
                for s in slices if s.start < last and s.end > first]

    arrows = sorted((a for a in trace.arrows if first <= a.start and a.end <= last), key=lambda a: a.start)
    return replace(trace, arrows=arrows, tasks=part(trace.tasks), operations=part(inside[:most]), waits=part(trace.waits),
                   verdicts=[(t if first <= t <= last else None, lane, text) for t, lane, text in trace.verdicts],
                   levels={c: levels for c, steps in trace.levels.items() if (levels := within(steps, first, last))})


def within(steps, first, last):
    """The fill levels of that time, beginning with the one that was there before."""
    steps = sorted(steps, key=lambda step: step[0])
    before = [elements for t, elements in steps if t < first]
    inside = [step for step in steps if first <= step[0] <= last]
    return [(first, before[-1])] + inside if before else inside


def stack(operations):
    """Each into the first row of its lane that is free, so that what lies within another stands below it."""
    ends = {}
    for o in sorted(operations, key=lambda o: (o.start, -o.end)):
        rows = ends.setdefault(o.lane, [])
        o.row = next((row for row, end in enumerate(rows) if end <= o.start), len(rows))
        rows[o.row:o.row + 1] = [o.end]
    return {lane: len(rows) for lane, rows in ends.items()}


# ---- Time ------------------------------------------------------------------------------------------------------

class Axis:
    """Where a moment stands: in order, some pixels apart, and with room for the label of each operation."""

    def __init__(self, moments, rooms, narrowest):
        self.moments = sorted(set(moments))
        index = {t: i for i, t in enumerate(self.moments)}
        gaps = [2 + 3.5 * math.log10(1 + (b - a) / 100) for a, b in zip(self.moments, self.moments[1:])]
        after, before = {}, {}          # what must be so far away: {i: [(j, room)]}
        for start, end, room in rooms:
            before.setdefault(index[end], []).append((index[start], room))
            after.setdefault(index[start], []).append((index[end], room))
        places = [0]
        for i, gap in enumerate(gaps, 1):
            places.append(max([places[-1] + gap] + [places[j] + room for j, room in before.get(i, ())]))
        for _ in range(60):
            self.spread(places, gaps, before, after)
        self.width = max(places[-1], narrowest)
        self.places = [x * self.width / (places[-1] or 1) for x in places]

    @staticmethod
    def spread(places, gaps, before, after):
        """All begins as far to the left as can be.  Moves each moment to where time has it between its neighbours."""
        for i in range(1, len(places) - 1):
            least = max([places[i - 1] + gaps[i - 1]] + [places[j] + room for j, room in before.get(i, ())])
            most = min([places[i + 1] - gaps[i]] + [places[j] - room for j, room in after.get(i, ())])
            wanted = places[i - 1] + (places[i + 1] - places[i - 1]) * gaps[i - 1] / (gaps[i - 1] + gaps[i])
            places[i] = max(least, min(most, wanted))

    def __call__(self, t):
        i = bisect.bisect_left(self.moments, t)
        if i == len(self.moments) or t == self.moments[i] or i == 0:
            return self.places[min(i, len(self.places) - 1)]
        share = (t - self.moments[i - 1]) / (self.moments[i] - self.moments[i - 1])
        return self.places[i - 1] + share * (self.places[i] - self.places[i - 1])

    def ticks(self, apart, every):
        last = -apart
        for t, x in zip(self.moments, self.places):
            if x - last >= apart and t % every == 0:
                last = x
                yield t, x


# ---- The picture -----------------------------------------------------------------------------------------------

def blend(color, page, share):
    """A color as it looks in a thin layer on the page."""
    mixed = (round(share * int(color[i:i + 2], 16) + (1 - share) * int(page[i:i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def style():
    def mode(page, text, faint, line):
        boxes = [f".c{i} {{ fill: {blend(c, page, .16)}; stroke: {c} }}" for i, c in enumerate(COLORS + (GREY, RED))]
        return boxes + [
            f".page {{ fill: {page} }}", f".halo {{ stroke: {page} }}", f"stop {{ stop-color: {page} }}",
            f"text {{ fill: {text} }}", f".faint {{ fill: {faint} }}", f".life {{ fill: {line} }}",
            f".line {{ stroke: {line} }}", f".hatch {{ stroke: {faint}; stroke-opacity: .45 }}"]

    return "\n".join([
        f"text {{ font: {FONT}px Helvetica, Arial, 'Liberation Sans', sans-serif }}",
        *mode(*LIGHT), "@media (prefers-color-scheme: dark) {", *mode(*DARK), "}",
        ".title { font-size: 16px; font-weight: bold }", ".name, .verdict { font-size: 12px; font-weight: bold }",
        f".alarm {{ fill: {RED} }}", ".halo { stroke-width: 3px; stroke-linejoin: round; paint-order: stroke }",
        ".message { fill: none; stroke-width: 1.5 }", ".message.again { stroke-dasharray: 7 2 }",
        ".start { fill: none; stroke-width: 1; stroke-dasharray: 3 2 }", ".wait { fill: url(#hatch); stroke: none }"])


class Chart:
    """First everything gets its place, then it is drawn from back to front: arrows pass behind boxes, labels are on top."""

    def __init__(self, trace, title, notes):
        self.trace, self.title, self.notes, self.parts, self.taken = trace, title, notes, [], set()
        self.lanes = trace.lanes()
        channels = [s.channel for s in trace.arrows + trace.operations if s.channel] + list(trace.levels)
        self.channels = list(dict.fromkeys(channels))
        self.strips = [c for c in self.channels if trace.capacities.get(c) or c in trace.levels]
        self.endless = "waits for ever" if any("deadlock" in text for _, _, text in trace.verdicts) else "still waits"
        stuck = {o.lane for o in trace.operations if o.unended}
        self.alone = [w for w in trace.waits if w.unended and w.lane not in stuck]      # as the explorer has them
        self.lay_out()

    def lay_out(self):
        trace = self.trace
        rows, self.of_lane = stack(trace.operations), {}
        for o in trace.operations:
            self.of_lane.setdefault(o.lane, []).append(o)
        moments = [t for s in trace.tasks + trace.operations + trace.waits + trace.arrows for t in (s.start, s.end)]
        moments += [t for t, _, _ in trace.verdicts if t is not None]
        rooms = [(s.start, s.end, self.room(s)) for s in trace.operations + self.alone]
        self.axis = Axis(moments, rooms, NARROWEST)
        names = [trace.name(lane) for lane in self.lanes] + [short(channel) for channel in self.strips]
        self.left = 2 * MARGIN + 1.2 * max(map(width, names))   # they are bold
        self.right = self.left + self.axis.width + FADE
        self.headline = [line for _, _, text in trace.verdicts[:3] for line in textwrap.wrap(text, int(self.right / 8))]
        self.box = 6 + LINE * max(len(o.label) for o in trace.operations)
        self.top = 62 + 15 * len(self.notes) + 17 * len(self.headline)
        self.tops, self.bottoms, y = {}, {}, self.top
        for lane in self.lanes:
            self.tops[lane] = y + GAP / 2
            self.bottoms[lane] = self.tops[lane] + self.box * rows.get(lane, 1)
            y = self.bottoms[lane] + GAP / 2
        self.bottom = y

    def room(self, operation):
        return 8 + max(map(width, operation.label), default=0) + (width(" " + self.endless) if operation.unended else 0)

    def x(self, t):
        return round(self.left + self.axis(t), 1)

    def color(self, channel):
        """The classes of a channel's marks: the colors come round again, but then dashed.  Without a channel, grey."""
        if channel not in self.channels:
            return f"c{len(COLORS)}"
        again, i = divmod(self.channels.index(channel), len(COLORS))
        return f"c{i}" + " again" * (again > 0)

    def add(self, form):
        self.parts.append(form)

    def text(self, x, y, text, kind="", more=""):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}"{more}>{escape(text)}</text>')

    def draw(self):
        self.ticks()
        self.lives()
        for arrow in self.trace.arrows:
            self.arrow(arrow)
        for operation in self.trace.operations:
            self.operation(operation)
        for wait in self.trace.waits:
            self.wait(wait)
        for waiting in self.trace.operations + self.alone:
            self.label(waiting)
        for arrow in self.trace.arrows:
            self.value(arrow)
        bottom = self.bottom
        for channel in self.strips:
            bottom = self.strip(channel, bottom)
        self.add(f'<rect x="{self.right - FADE:.1f}" y="{self.top}" width="{FADE + 2}" height="{bottom - self.top}" '
                 'fill="url(#fade)"/>')
        for t, lane, text in self.trace.verdicts:
            if t is not None:
                self.verdict(t, lane, text)
        self.header()
        return self.document(self.legend(bottom + 26))

    def header(self):
        self.text(MARGIN, 28, short(self.title, int(self.right / 10)), "title")
        for i, line in enumerate(self.notes):
            self.text(MARGIN, 46 + 15 * i, line, "faint")
        for i, line in enumerate(self.headline):
            self.text(MARGIN, 50 + 15 * len(self.notes) + 17 * i, line, "verdict alarm")

    def ticks(self):
        before = None
        for t, x in self.axis.ticks(30, 1000) if self.trace.steps() else self.axis.ticks(76, 1):
            name, before, x = str(t // 1000) if self.trace.steps() else moment(t, before), t, x + self.left
            self.add(f'<path d="M{x:.1f} {self.top}V{self.bottom}" class="line" stroke-width=".5"/>')
            self.text(x, self.top - 4, name, "faint tick", ' text-anchor="middle"')

    def lives(self):
        for lane in self.lanes:
            self.text(MARGIN, self.tops[lane] + self.box / 2 + 4, self.trace.name(lane), "name lane")
        own = {task.lane for task in self.trace.tasks}
        for task in self.trace.tasks:
            self.life(task.lane, task.start, task.end, task.leaves)
        for lane, there in self.of_lane.items():
            if lane not in own:
                self.life(lane, min(s.start for s in there), max(s.end for s in there), True)

    def life(self, lane, start, end, leaves):
        if lane not in self.tops:
            return
        top, x, till = self.tops[lane], self.x(start), self.right if leaves else self.x(end)
        self.add(f'<rect x="{x}" y="{top + self.box / 2 - 3}" width="{till - x:.1f}" height="6" class="life"/>')
        for far in (at for at in range(1500, int(till) - 200, 1500) if at > x + 300):
            self.taken |= cells(far, top - 9, width(self.trace.name(lane)))
            self.text(far, top - 5, self.trace.name(lane), "faint halo", ' text-anchor="middle"')
        for edge in [x] + [till] * (not leaves):
            self.add(f'<rect x="{edge - 1.5:.1f}" y="{top}" width="3" height="{self.box}" rx="1" class="life"/>')

    def row(self, lane, t):
        """The upper edge of the innermost operation of that time."""
        rows = [o.row for o in self.of_lane.get(lane, ()) if o.start <= t <= o.end]
        return self.tops[lane] + self.box * max(rows, default=0)

    def ends(self, arrow):
        """From the edge of one box to the edge of the other."""
        y1, y2 = self.row(arrow.source, arrow.start), self.row(arrow.target, arrow.end)
        leaves_below = self.tops[arrow.source] <= self.tops[arrow.target]
        comes_from_below = self.tops[arrow.source] >= self.tops[arrow.target]
        return self.x(arrow.start), y1 + self.box * leaves_below, self.x(arrow.end), y2 + self.box * comes_from_below

    def arrow(self, arrow):
        x1, y1, x2, y2 = self.ends(arrow)
        dip = f"Q{(x1 + x2) / 2:.1f} {y1 + GAP:.1f}" if arrow.source == arrow.target else "L"
        color = self.color(arrow.channel)
        names = [self.trace.name(lane) for lane in (arrow.source, arrow.target)]
        sent = " ".join(dict.fromkeys([arrow.channel, arrow.label]))
        tip = f"{sent} from {names[0]} to {names[1]}" if arrow.kind == "message" else f"{names[0]} starts {names[1]}"
        self.add(f'<path d="M{x1} {y1} {dip} {x2} {y2}" class="{color} {arrow.kind}" marker-end="url(#{color[:2]})">'
                 f'<title>{escape(tip)}</title></path>')

    def value(self, arrow):
        """On its arrow, between two lanes, where no other text is; if there is no such place, near the arrow's end."""
        if arrow.kind == "start":
            return
        x1, y1, x2, y2 = self.ends(arrow)
        places = self.places(x1, y1, x2, y2) if arrow.source != arrow.target else [((x1 + x2) / 2, y1 + GAP / 2)]
        long = width(arrow.label)
        x, y = next((p for p in places if self.taken.isdisjoint(cells(*p, long))), places[0])
        self.taken |= cells(x, y, long)
        self.text(x, y + 4, arrow.label, "value halo", ' text-anchor="middle"')

    def places(self, x1, y1, x2, y2):
        """Those between lanes that the line crosses, from its end to its beginning."""
        gaps = [self.bottoms[lane] + GAP / 2 for lane in self.lanes[:-1]]
        crossed = [y for y in gaps if min(y1, y2) < y < max(y1, y2)]
        if y2 > y1:
            crossed.reverse()
        back = -12 if y2 > y1 else 12
        heights = [y + shift for y in crossed for shift in (0, back, -back)]
        return [(x1 + (x2 - x1) * (y - y1) / (y2 - y1), y) for y in heights]

    def operation(self, o):
        x, till = self.x(o.start), self.right if o.leaves else self.x(o.end)
        y = self.tops[o.lane] + o.row * self.box
        self.add(f'<rect x="{x}" y="{y}" width="{till - x:.1f}" height="{self.box}" rx="3" '
                 f'class="{self.color(o.channel)} operation"/>')

    def wait(self, wait):
        x, till = self.x(wait.start), self.right if wait.leaves else self.x(wait.end)
        y = self.row(wait.lane, wait.start)
        does = self.endless if wait.unended else f"waits for {moment(wait.end - wait.start)}"
        tip = f"{self.trace.name(wait.lane)} {does}"
        self.add(f'<rect x="{x}" y="{y + 1}" width="{till - x:.1f}" height="{self.box - 2}" class="wait">'
                 f'<title>{escape(tip)}</title></rect>')

    def label(self, o):
        x, y = self.x(o.start) + 4, self.tops[o.lane] + o.row * self.box + 13
        y += (self.box - 6 - LINE * max(1, len(o.label))) / 2
        self.add(f"<g><title>{escape(o.tip)}</title>")
        for i, line in enumerate(o.label or [""]):
            ending = f' <tspan class="alarm">{self.endless}</tspan>' if o.unended and i == 0 else ""
            self.add(f'<text x="{x:.1f}" y="{y + i * LINE:.1f}" class="halo">{escape(line)}{ending}</text>')
        self.add("</g>")

    def strip(self, channel, y):
        """A channel's fill level, from y down; gives where the next one begins."""
        steps = self.trace.levels.get(channel, [])
        most = max([1, self.trace.capacities.get(channel, 0)] + [elements for _, elements in steps])
        base, color = y + STRIP, self.color(channel)
        end = round(self.right - FADE, 1)
        path, level = f"M{self.left:.1f} {base}", 0
        for t, level in steps:
            path += f" H{self.x(t)} V{base - (STRIP - 8) * level / most:.1f}"
        self.add(f'<g class="level"><title>{escape(f"elements in {channel}")}</title>')
        self.add(f'<path d="M{self.left:.1f} {y + 8} H{end}" class="line" stroke-dasharray="4 3"/>')
        self.add(f'<path d="{path} H{end} V{base} Z" class="{color}" stroke-width="1.2"/></g>')
        self.text(MARGIN, y + 18, short(channel), "name")
        self.text(MARGIN, y + 31, f"0..{most}", "faint")
        return base + 12

    def verdict(self, t, lane, text):
        x = self.x(t)
        self.add(f'<g><title>{escape(text)}</title>')
        self.add(f'<path d="M{x} {self.top}V{self.bottom}" class="c9" stroke-dasharray="2 3"/>')
        if lane in self.tops:
            self.add(f'<g transform="translate({x} {self.tops[lane] - 9})">{CROSS}</g>')
        self.add("</g>")

    def legend(self, y):
        """What occurs in the picture, below it; gives where that ends."""
        x = MARGIN
        for form, text in self.signs():
            if x + 34 + width(text) > min(self.right, 1200):
                x, y = MARGIN, y + 20
            self.add(f'<g transform="translate({x:.1f} {y:.1f})">{form}')
            self.text(32, 4, text)
            self.add("</g>")
            x += 50 + width(text)
        return y + 20

    def signs(self):
        box = '<rect x="0" y="-7" width="26" height="14" rx="3" class="{}"/>'
        yield '<rect x="0" y="-3" width="26" height="6" class="life"/>', "a task lives"
        yield box.format("c8"), "a step" if self.trace.steps() else "an operation"
        if self.trace.waits:
            yield box.format("c8") + '<rect x="1" y="-6" width="24" height="12" class="wait"/>', "it waits"
        if any(a.kind == "start" for a in self.trace.arrows):
            yield '<path d="M0 0H26" class="c8 start" marker-end="url(#c8)"/>', "starts a task"
        sent = [c for c in self.channels if any(a.channel == c for a in self.trace.arrows)]
        for i, c in enumerate(sent[:12]):
            sign = f'<path d="M0 0H26" class="{self.color(c)} message" marker-end="url(#{self.color(c)[:2]})"/>'
            yield sign, "from send to receive, " * (i == 0) + f"over {short(c)}"
        if sent[12:]:
            yield "", f"and over {counted(len(sent) - 12, 'more channel')}"
        if self.strips:
            sign = '<path d="M0 5V0H9V-5H17V5Z" class="c8"/><path d="M0 -8H26" class="line" stroke-dasharray="4 3"/>'
            yield sign, "elements in a channel, and its capacity"
        if self.trace.verdicts:
            yield f'<g transform="translate(13 0)">{CROSS}</g>', "the verdict"

    def document(self, height):
        heads = "".join(f'<marker id="c{i}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
                        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8Z" fill="{color}"/></marker>'
                        for i, color in enumerate(COLORS + (GREY,)))
        total = round(self.right + MARGIN)
        described = " ".join(self.notes + self.headline)
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{height:.0f}" '
            f'viewBox="0 0 {total} {height:.0f}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(self.title)}</title><desc id="desc">{escape(described)}</desc>',
            f"<style>{style()}</style>",
            f'<defs>{heads}',
            '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<path d="M0 0V6" class="hatch" stroke-width="1.5"/></pattern>'
            '<linearGradient id="fade"><stop offset="0" stop-opacity="0"/><stop offset="1"/></linearGradient></defs>',
            f'<rect width="{total}" height="{height:.0f}" class="page"/>', *self.parts, "</svg>", ""])


def cells(x, y, long):
    """The squares of a grid that a text covers which has its middle there."""
    columns = range(int((x - long / 2) // 6), int((x + long / 2) // 6) + 2)
    return {(column, row) for column in columns for row in range(int((y - 5) // 5), int((y + 4) // 5) + 1)}


# ---- From file to file -----------------------------------------------------------------------------------------

def notes(trace, part, dropped):
    """The lines below the title: what is there to see, and what is not."""
    total, drawn = len(trace.operations), len(part.operations)
    what = "step" if trace.steps() else "operation"
    lanes = counted(len(part.lanes()), "lane")
    said = [f"{lanes}, {counted(drawn, what)}. Time runs to the right and is not to scale."]
    if drawn < total:
        said.append(f"{total - drawn:,} of the {counted(total, what)} are left out.")
    if dropped not in (None, "0", 0):
        said.append(f"{dropped} events are missing in the trace itself.")
    return said


def convert(arguments, out):
    events, other = load(arguments.trace)
    trace = sort_out(events)
    until_the_end(trace)
    if not trace.operations:
        raise Problem("no operation in it")
    part = cut(trace, round(arguments.first * 1000), round(arguments.last * 1000), arguments.most)
    if not part.operations:
        raise Problem("nothing happens in that time")
    title = arguments.title or trace.program or os.path.basename(arguments.trace)
    dropped = other.get("dropped") if isinstance(other, dict) else None
    picture = Chart(part, title, notes(trace, part, dropped)).draw()
    try:
        with open(out, "w", encoding="utf-8") as file:
            file.write(picture)
    except OSError as error:
        raise Problem(f"cannot write {out}: {error.strerror}")


def main():
    parser = argparse.ArgumentParser(description="Draws a trace of tasks and channels as a sequence chart (SVG).")
    parser.add_argument("trace", metavar="TRACE.json")
    parser.add_argument("-o", dest="out", metavar="OUT.svg", help="the trace's name with .svg, if not given")
    parser.add_argument("--title", help="the program's name, if not given")
    parser.add_argument("--from", dest="first", type=float, default=0, metavar="US",
                        help="microseconds, or steps of the explorer")
    parser.add_argument("--to", dest="last", type=float, default=1e15, metavar="US", help="likewise")
    parser.add_argument("--most", type=int, default=200, metavar="N", help="no more than so many operations (200)")
    arguments = parser.parse_args()
    if not 0 <= arguments.first < arguments.last <= 1e15 or arguments.most < 1:
        parser.error("there is nothing in this range")
    try:
        convert(arguments, arguments.out or os.path.splitext(arguments.trace)[0] + ".svg")
    except Problem as problem:
        print(f"{arguments.trace}: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
