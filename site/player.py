#!/usr/bin/env python3
"""A schedule of the explorer as a player: python3 site/player.py SCHEDULE.json OUT.html makes one page of it.

The page holds all it needs.  test/README.md has the format of the schedule.
"""
import html
import json
import os
import sys

import pygments
from pygments.formatters import HtmlFormatter
from pygments.lexers import CLexer, get_lexer_by_name, guess_lexer_for_filename
from pygments.util import ClassNotFound

HERE = os.path.dirname(os.path.abspath(__file__))


def highlighted(text, lexer=None):
    """The lines of a text as HTML, one by one."""
    lexer = lexer or CLexer(stripnl=False)
    return pygments.highlight(text, lexer, HtmlFormatter(nowrap=True)).rstrip("\n").split("\n")


def lexer_for(name, text):
    """How to colour a file, by its name; None: not at all."""
    try:
        return guess_lexer_for_filename(name, text, stripnl=False)
    except ClassNotFound:
        return get_lexer_by_name("text", stripnl=False)


def source_rows(name, lines):
    """The source with numbers of lines, and room for the marks of threads."""
    rows = highlighted("\n".join(lines) + "\n")
    rows += [""] * (len(lines) - len(rows))
    return "".join(
        f'<span class="row" data-file="{html.escape(name)}" data-line="{i}"><span class="no">{i}</span>'
        f'<code>{row}</code><span class="marks"></span>\n</span>' for i, row in enumerate(rows, 1))


def step_items(schedule):
    """The schedule as a list, for those without JavaScript, and for paper."""
    items, expected = [], 1
    for step in schedule["steps"]:
        if step["n"] != expected:
            items.append(f'<li class="gap">{step["n"] - expected} steps are left out here</li>')
        expected = step["n"] + 1
        name = html.escape(schedule["threads"][str(step["thread"])])
        line = f' <span class="place">line {step["line"]}</span>' if "line" in step else ""
        items.append(f'<li value="{step["n"]}"><b>{name}</b> {html.escape(step["does"])}{line}</li>')
    return "\n".join(items)


def player(data, title):
    """The figure that player.js brings to life."""
    schedule = data["schedule"]
    small = {"schedule": {k: v for k, v in schedule.items() if k != "sources"},
             "traceEvents": [e for e in data["traceEvents"] if e["ph"] in "sf"]}
    # Nothing in it may end the script element.
    text = json.dumps(small, separators=(",", ":")).replace("<", "\\u003c")
    sources = "".join(
        (f'<h4>{html.escape(name)}</h4>' if len(schedule["sources"]) > 1 else "")
        + f'<pre>{source_rows(name, lines)}</pre>' for name, lines in schedule["sources"].items())
    return f'''<figure class="player" tabindex="0" aria-label="{html.escape(title)}">
<figcaption>{html.escape(title)}: <span class="verdict">{html.escape(schedule["verdict"])}</span></figcaption>
<div class="panes">
<div class="source" tabindex="0" role="region" aria-label="Source of {html.escape(title)}">
{sources}</div></div>
<details open><summary>The schedule as a list</summary><ol class="steps">
{step_items(schedule)}
</ol></details>
<script type="application/json">{text}</script>
</figure>'''


def main():
    schedule_file, out = sys.argv[1:3]
    with open(schedule_file, encoding="utf-8") as f:
        data = json.load(f)
    name = data["schedule"]["program"]
    parts = {}
    for part in ("site.css", "player.js"):
        with open(os.path.join(HERE, part), encoding="utf-8") as f:
            parts[part] = f.read()
    page = f'''<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(name)}</title><link rel="icon" href="data:,"><style>
{parts["site.css"]}</style></head>
<body><main class="wide"><h1>{html.escape(name)}</h1>
<p>Step through the schedule that breaks this program: with the buttons, or with the left and right arrow
keys.</p>
{player(data, name)}
</main><script>
{parts["player.js"]}</script></body></html>
'''
    with open(out, "w", encoding="utf-8") as f:
        f.write(page)


if __name__ == "__main__":
    main()
