#!/usr/bin/env python3
"""The chapters of the course as slides, to show and to print: python3 site/slides.py OUT.html

A slide is a section: the first sentence of each paragraph, the sentences that define a term, others while there is
room, and its excerpts of programs.  The verdicts of the programs are on the first slide of a chapter, and the exercises on
the last.
"""
import re
import subprocess
import sys

MOST_LINES = 14
STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #1c1f23; font: 27px/1.35 system-ui, sans-serif; tab-size: 8; }
section { box-sizing: border-box; width: 1280px; height: 720px; padding: 50px 70px; overflow: hidden;
	margin: 0 auto 20px; border: 1px solid #d3d7dc; break-after: page; break-inside: avoid; }
h1, h2 { margin: 0 0 .6em; font-size: 1.5em; line-height: 1.2; }
pre { background: #f3f4f6; padding: .5em .7em; font: 21px/1.35 ui-monospace, monospace; overflow: hidden; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
pre code { font-size: inherit; }
td, th { border: 1px solid #d3d7dc; padding: .2em .6em; text-align: left; }
table { border-collapse: collapse; }
li { margin: .4em 0; }
@page { size: 1280px 720px; margin: 0; }
@media print { section { margin: 0; border: 0; } }
"""


def without_links(text):
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)


def sentences(paragraph):
    # Not what is said in parentheses about a place in a program.
    text = re.sub(r" \(`DOC: [^`]*`(, `DOC: [^`]*`)*\)", "", " ".join(paragraph.split()))
    return re.findall(r".+?[.?!](?=\s|$)", text) or [text]


def points(section, room):
    """The sentences that define something, the first of each paragraph, and more while there is room."""
    found = []
    for paragraph in re.split(r"\n\s*\n", re.sub(r"```.*?```", "", section, flags=re.S)):
        if not paragraph.strip() or paragraph.lstrip().startswith(("|", "- ", "1. ")):
            continue
        found += [(("**" not in s, i > 0), s) for i, s in enumerate(sentences(paragraph))]
    needed = sum(rank < (True, True) for rank, _ in found)
    best = sorted(found, key=lambda one: one[0])[:min(4, max(needed, room))]
    return [s for rank, s in found if (rank, s) in best]


def slide(heading, level, items, blocks):
    text = f"{'#' * level} {heading}\n\n" + "".join(f"- {item.rstrip(':')}\n" for item in items)
    room = MOST_LINES - 2 * len(items)
    for block in blocks:
        room -= block.count("\n") + 1
        if room >= 0:
            text += "\n```c\n" + re.sub(r"^\t", "", block, flags=re.M) + "```\n"
    return text


def chapter(text):
    text = without_links(text)
    title, *sections = re.split(r"^## ", text, flags=re.M)
    heading, _, opening = title.partition("\n")
    table = "\n".join(line for line in opening.split("\n") if line.startswith("|"))
    slides = [slide(heading[2:], 1, points(opening, 3), []) + "\n" + table + "\n"]
    for section in sections:
        heading, _, body = section.partition("\n")
        if heading == "Exercises":
            body = re.sub(r"```.*?```", "", body, flags=re.S).replace(" (solution)", "")
            body = re.sub(r"\s*\(solution\)", "", body)
            slides.append(f"## {heading}\n{body}")
        else:
            blocks = re.findall(r"```c\n(.*?)```", body, flags=re.S)
            room = (MOST_LINES - sum(block.count("\n") + 1 for block in blocks)) // 2
            slides.append(slide(heading, 2, points(body, room), blocks))
    return slides


def main():
    with open("course/README.md", encoding="utf-8") as f:
        names = re.findall(r"\]\((\d-\S+\.md)\)", f.read())
    text = ""
    for name in names:
        with open("course/" + name, encoding="utf-8") as f:
            text += "".join(f"<section>\n\n{one}\n\n</section>\n\n" for one in chapter(f.read()))
    body = subprocess.run(["pandoc", "-f", "gfm", "-t", "html", "--no-highlight", "-p"], input=text,
                          stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        f.write('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
                '<title>Concurrency in C</title><link rel="icon" href="data:,">\n'
                f'<style>{STYLE}</style></head>\n'
                f'<body>\n{body}</body></html>\n')


if __name__ == "__main__":
    main()
