"""Draws the results as SVG that suits a light and a dark page: bench/results.svg and bench/scaling.svg."""
import math
import os
import statistics
from xml.sax.saxutils import escape

# Each peer has a shape of its own, so that colour is not needed to tell them apart.
STYLES = {
    "ours": ("this library", "circle"),
    "go": ("Go", "diamond"),
    "crossbeam": ("crossbeam", "square"),
    "mpsc": ("Rust mpsc", "down"),
    "glib": ("GLib", "up"),
    "apr": ("APR", "cross"),
    "threads": ("pthreads", "plus"),
}

FORMS = {  # of bench/scaling.py
    "ours": ("one channel", "circle"),
    "shards": ("a channel each", "up"),
    "drain": ("a channel each, drained", "cross"),
    "bulk": ("64 a call", "down"),
    "watch": ("the watcher", "plus"),
    "go": ("Go, one channel", "diamond"),
    "crossbeam": ("crossbeam, one channel", "square"),
}

# No var(): a viewer that does not know it, as librsvg, would draw all in black.
COLOURS = """
  .page {{ fill: {page}; }}
  text {{ fill: {text}; }}
  .faint {{ fill: {faint}; }}
  .grid {{ stroke: {line}; }}
  .mark {{ stroke: {others}; }}
  .curve {{ stroke: {others}; }}
  .ours {{ stroke: {ours}; }}
  .ours.mark {{ fill: {ours}; }}
  .go {{ stroke: {go}; }}
  .go.mark {{ fill: {go}; }}
  .crossbeam {{ stroke: {crossbeam}; }}
  .crossbeam.mark {{ fill: {crossbeam}; }}
  .shards {{ stroke: {shards}; }}
  .drain {{ stroke: {shards}; }}
  .bulk {{ stroke: {bulk}; }}
"""
LIGHT = {"page": "#ffffff", "text": "#1f2328", "faint": "#59636e", "line": "#d1d9e0",
         "ours": "#0969da", "go": "#bc4c00", "crossbeam": "#1a7f37", "others": "#6e7781",
         "shards": "#8250df", "bulk": "#bf3989"}
DARK = {"page": "#0d1117", "text": "#f0f6fc", "faint": "#9198a1", "line": "#3d444d",
        "ours": "#58a6ff", "go": "#f0883e", "crossbeam": "#3fb950", "others": "#8b949e",
        "shards": "#a371f7", "bulk": "#db61a2"}
STYLE = """
  text { font: 12px system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; }
  .title { font-size: 14px; font-weight: 600; }
  .end { text-anchor: end; }
  .middle { text-anchor: middle; }
  .grid { stroke-width: 1; }
  .mark { fill: none; stroke-width: 1.6; }
  .curve { fill: none; stroke-width: 2; }
""" + COLOURS.format(**LIGHT) + "  @media (prefers-color-scheme: dark) {" + COLOURS.format(**DARK) + "  }\n"

SHAPES = {
    "circle": "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z",
    "diamond": "M0,-5.5L5.5,0L0,5.5L-5.5,0Z",
    "square": "M-4,-4H4V4H-4Z",
    "down": "M-5,-4H5L0,5Z",
    "up": "M-5,4H5L0,-5Z",
    "cross": "M-4,-4L4,4M-4,4L4,-4",
    "plus": "M-5,0H5M0,-5V5",
}


class Drawing:
    def __init__(self, width, height, what, styles=None):
        self.styles = styles or STYLES
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                      f'height="{height}" role="img"><title>{escape(what)}</title><style>{STYLE}</style>',
                      f'<rect class="page" width="{width}" height="{height}" rx="6"/>']

    def text(self, x, y, text, classes=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}">{escape(text)}</text>')

    def line(self, x1, y1, x2, y2):
        self.parts.append(f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def mark(self, x, y, peer):
        shape = SHAPES[self.styles[peer][1]]
        self.parts.append(f'<path class="{peer} mark" transform="translate({x:.1f},{y:.1f})" d="{shape}"/>')

    def curve(self, points, peer):
        d = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<path class="{peer} curve" d="{d}"/>')

    def legend(self, x, y, peers):
        for peer in peers:
            self.mark(x, y - 4, peer)
            self.text(x + 11, y, self.styles[peer][0])
            x += 40 + 7 * len(self.styles[peer][0])

    def save(self, path):
        with open(path, "w") as file:
            file.write("\n".join(self.parts + ["</svg>"]) + "\n")


class LogScale:
    """From the power of ten below the least value to the one above the greatest."""

    def __init__(self, values, start, end):
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self.start, self.end = start, end

    def at(self, value):
        return self.start + (self.end - self.start) * (math.log10(value) - self.low) / (self.high - self.low)

    def ticks(self):
        for power in range(self.low, self.high + 1):
            value = 10.0 ** power
            unit = next((u for size, u in [(1e6, "ms"), (1e3, "µs"), (0, "ns")] if value >= size))
            yield value, f"{value / {'ms': 1e6, 'µs': 1e3, 'ns': 1}[unit]:g} {unit}"


def medians(section):
    return {row: {peer: statistics.median(values) for peer, values in peers.items() if peer in STYLES}
            for row, peers in section.items()}


def draw_rows(path, results, rows):
    """One line for each workload, a mark on it for each peer; cold above pinned."""
    modes = [(mode, medians(results[mode])) for mode in ("cold", "pinned") if mode in results]
    modes = [(mode, {row: of[row] for row in rows if of.get(row)}) for mode, of in modes]
    values = [v for _, of in modes for peers in of.values() for v in peers.values()]
    if not values:
        return
    left, right, pitch, width = 340, 30, 22, 860
    heights = [70 + pitch * len(of) for _, of in modes]
    drawing = Drawing(width, 36 + sum(heights), "Time for each element, this library and others, on a logarithmic scale")
    there = [p for p in STYLES if any(p in peers for _, of in modes for peers in of.values())]
    drawing.legend(20, 26, there)
    top = 60
    for (mode, of), height in zip(modes, heights):
        scale = LogScale(values, left, width - right)
        drawing.text(14, top, {"cold": "On all CPUs", "pinned": "On one CPU"}[mode], "title")
        bottom = top + 12 + pitch * len(of)
        for value, label in scale.ticks():
            drawing.line(scale.at(value), top + 8, scale.at(value), bottom)
            drawing.text(scale.at(value), bottom + 16, label, "faint middle")
        for i, (row, peers) in enumerate(of.items()):
            y = top + 12 + pitch * (i + 0.5)
            drawing.line(left, y, width - right, y)
            drawing.text(14, y + 4, row, "faint")
            drawing.text(76, y + 4, rows[row])
            for peer in reversed(there):
                if peer in peers:
                    drawing.mark(scale.at(peers[peer]), y, peer)
        top += height
    drawing.save(path)


def draw_curves(path, results, curves):
    """A panel for each curve: how long an element takes, by how many threads or cases there are."""
    panels = [(title, medians(results[name])) for name, title in curves.items() if results.get(name)]
    draw_panels(path, "How the time for an element grows with threads and cases", panels, STYLES)


def draw_scaling(path, results):
    """A panel for each row of bench/scaling.py: how long an element takes, by how many threads there are."""
    panels = []
    for row, forms in results.items():
        of = {}
        for form, numbers in forms.items():
            for k, values in numbers.items():
                of.setdefault(k, {})[form] = statistics.median(values["wall"])
        panels.append((f"{row}: threads of each kind", of))
    draw_panels(path, "How the time for an element of all threads together grows with their number", panels, FORMS)


def draw_panels(path, what, panels, styles):
    if not panels:
        return
    each, height, left, bottom = 290, 300, 52, 56
    drawing = Drawing(each * len(panels), height, what, styles)
    there = [p for p in styles if any(p in peers for _, of in panels for peers in of.values())]
    drawing.legend(20, 26, there)
    for i, (title, of) in enumerate(panels):
        x0, x1 = i * each + left, (i + 1) * each - 26
        y = LogScale([v for peers in of.values() for v in peers.values()], height - bottom, 70)
        numbers = sorted(map(int, of))
        most = math.log2(max(numbers[-1], 2))
        x = {n: x0 + 8 + (x1 - x0 - 8) * math.log2(n) / most for n in numbers}
        drawing.text((x0 + x1) / 2, height - 14, title, "middle")
        for value, label in y.ticks():
            drawing.line(x0, y.at(value), x1, y.at(value))
            drawing.text(x0 - 6, y.at(value) + 4, label, "faint end")
        for n in numbers[::2 if len(numbers) > 5 else 1]:
            drawing.text(x[n], height - bottom + 18, f"{n:,}", "faint middle")
        for peer in reversed(there):
            points = [(x[n], y.at(of[str(n)][peer])) for n in numbers if peer in of[str(n)]]
            if points:
                drawing.curve(points, peer)
            for point in points:
                drawing.mark(*point, peer)
    drawing.save(path)


def write(directory, results, rows, curves):
    draw_rows(os.path.join(directory, "results.svg"), results, rows)
    draw_curves(os.path.join(directory, "scaling.svg"), results, curves)
