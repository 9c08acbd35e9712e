#!/usr/bin/env python3
"""The site: python3 site/build.py OUT SCHEDULES MINISEARCH, by make site.

Every page is a file of the repository: a text (pandoc), a page of the manual (mandoc), or a source
(pygments).  It begins with PAGES; a file that one of those links to becomes a page, too.  A link that leads
nowhere ends the run with an error.
"""
import glob
import html
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys

import player

HERE = os.path.dirname(os.path.abspath(__file__))
OUT, SCHEDULES, MINISEARCH = sys.argv[1:4]
MANUAL = sorted(glob.glob("man/*.3"))
CHAPTERS = re.findall(r"\]\((\S+\.md)\)", open("course/README.md", encoding="utf-8").read())
PAGES = ["site/start.md", "README.md", "RULES.md", "site/go.md", "site/reading.md", "course/README.md",
         "bench/README.md", "bench/results.md", "test/README.md", "CHANGELOG.md", "examples/cookbook.md",
         "course/teaching.md"]
FRONT = [("index.html", "Start"), ("man/index.html", "Manual"), ("RULES.html", "Rules"),
         ("site/go.html", "Go to C"), ("examples/cookbook.html", "Cookbook"),
         ("course/index.html", "Course"), ("bench/index.html", "Benchmark"), ("search.html", "Search")]
NAMED = {"site/start.md": "index.html", "README.md": "readme.html"}

queue, done, documents, errors = [], set(), [], []


def page_of(path):
    """Where a file of the repository stands on the site."""
    if path in NAMED:
        return NAMED[path]
    if os.path.isdir(path):
        return page_of(path + "/README.md") if os.path.exists(path + "/README.md") else path + "/index.html"
    if path.endswith("/README.md"):
        return path[:-len("README.md")] + "index.html"
    if path.endswith(".md"):
        return path[:-3] + ".html"
    return path if path.endswith((".svg", ".png")) else path + ".html"


def write(out, text):
    where = os.path.join(OUT, out)
    os.makedirs(os.path.dirname(where), exist_ok=True)
    with open(where, "w", encoding="utf-8") as f:
        f.write(text)


def has_page(out):
    """Whether the entry in the navigation leads somewhere."""
    return out != "search.html" or os.path.exists(MINISEARCH)


def put_page(out, title, body, scripts=()):
    """The frame of every page."""
    root = "../" * out.count("/")
    links = "".join(f'<a href="{root}{to}"{" aria-current=page" if to == out else ""}>{name}</a>'
                    for to, name in FRONT if has_page(to))
    tail = "".join(f'<script src="{root}{s}"></script>\n' for s in scripts)
    write(out, f'''<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="{root}site.css"></head>
<body><a class="skip" href="#main">To the text</a>
<header><nav aria-label="Pages">{links}</nav></header>
<main id="main">
{body}
</main>
<footer>chan {VERSION}. <a href="{root}readme.html">README</a>,
<a href="{root}CHANGELOG.html">changes</a>.</footer>
{tail}</body></html>
''')
    remember(out, title, body)


# ---- Search ----------------------------------------------------------------------------------------------

def plain(text):
    text = re.sub(r"<(script|svg|nav).*?</\1>", " ", text, flags=re.S)
    text = re.sub(r"</?(?:a|b|code|em|i|span|strong|var)\b[^>]*>", "", text)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def remember(out, title, body):
    """One entry for each section of a text; sources are found by the texts that speak of them."""
    program = 'class="listing"' in body or ('class="player"' in body and "<h2" not in body)
    if program or out in ("course/booklet.html", "man/index.html"):
        return
    parts = re.split(r'(<h[23][^>]*>.*?</h[23]>)', body, flags=re.S)
    heads = [("", title)]
    for h in parts[1::2]:
        anchor = re.search(r'id="([^"]*)"', h)
        heads.append(("#" + anchor.group(1) if anchor else "", plain(h)))
    for (anchor, head), text in zip(heads, parts[0::2]):
        documents.append({"id": len(documents), "url": out + anchor, "page": title, "title": head,
                          "text": plain(text)})


# ---- Links -----------------------------------------------------------------------------------------------

def line_of_marker(path, text):
    """DOC: name, in the text of a link, is the line with that comment."""
    marker = re.search(r"DOC: [\w-]+", text)
    if not marker or not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8") as f:
        for i, line in enumerate(f, 1):
            if re.search(re.escape(marker.group(0)) + r"\b", line):
                return f"#line-{i}"
    return ""


def resolve(source, out, target, text=""):
    """A link in that file, as one of its page."""
    if re.match(r"[a-z]+:|#", target):
        return target
    path, _, fragment = target.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path)).rstrip("/")
    if not os.path.exists(path):
        errors.append(f"{source}: a link leads nowhere: {target}")
        return target
    queue.append(path)
    fragment = "#" + re.sub(r"^L(\d+)$", r"line-\1", fragment) if fragment else line_of_marker(path, text)
    return posixpath.relpath(page_of(path), posixpath.dirname(out) or ".") + fragment


def kind(source, target):
    """Of a picture that cannot be read any more when it is made to fit."""
    path = os.path.join(os.path.dirname(source), target)
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8") as f:
        width = re.search(r'viewBox="0 0 (\d+)', f.read())
    return ' class="wide"' if width and int(width[1]) > 1600 else ""


def with_links(source, out, body):
    def link(match):
        return f'<a href="{resolve(source, out, html.unescape(match[1]), match[3])}"{match[2]}>{match[3]}</a>'

    def image(match):
        return f'<img{kind(source, match[1])} src="{resolve(source, out, html.unescape(match[1]))}"'
    body = re.sub(r'<a href="([^"]*)"([^>]*)>(.*?)</a>', link, body, flags=re.S)
    return re.sub(r'<img src="([^"]*)"', image, body)


# ---- Texts -----------------------------------------------------------------------------------------------

def run(*command, text=None):
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout


def coloured(match):
    language, code = match[1], html.unescape(match[2])
    if language not in ("c", "go", "sh", "make", "cmake", "python", "json"):
        return match[0]
    lexer = player.get_lexer_by_name(language, stripnl=False)
    return '<pre tabindex="0"><code>' + "\n".join(player.highlighted(code, lexer)) + "</code></pre>"


def in_a_box(match):
    """A table of three columns of words stands row by row on a phone; one of figures may be wide."""
    columns = len(re.findall(r"<th\b", match[0].partition("</tr>")[0]))
    what = " figures" if "text-align" in match[0] else " stacks" if columns == 3 else ""
    return f'<div class="scrolls{what}" tabindex="0">{match[0]}</div>'


def text_as_html(source, out, text=None):
    if text is None:
        with open(source, encoding="utf-8") as f:
            text = f.read()
    body = run("pandoc", "-f", "gfm+gfm_auto_identifiers", "-t", "html", "--no-highlight", "--wrap=none",
               "--preserve-tabs", text=text)
    body = re.sub(r'<pre class="(\w+)"><code>(.*?)</code></pre>', coloured, body, flags=re.S)
    body = re.sub(r'<pre( class="\w+")?><code>', '<pre tabindex="0"><code>', body)
    body = re.sub(r"<table.*?</table>", in_a_box, body, flags=re.S)
    # A heading without words.
    body = re.sub(r"<thead>\s*<tr[^>]*>(\s*<th[^>]*></th>)*\s*</tr>\s*</thead>", "", body)
    body = with_links(source, out, body)
    return re.sub(r"<p>((?:<a[^>]*>)?<img [^>]*>(?:</a>)?)</p>",
                  r'<div class="picture" tabindex="0">\1</div>', body)


def numbered_rules(body):
    """Rule 17 is at #rule-17."""
    def items(match):
        n = iter(range(int(match[1] or 1), 1000))
        return re.sub(r"<li>", lambda _: f'<li id="rule-{next(n)}">', match[0])
    return re.sub(r'<ol(?: start="(\d+)")?[^>]*>.*?</ol>', items, body, flags=re.S)


def title_in(text, otherwise):
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", text, flags=re.S)
    return plain(heading[1]) if heading else otherwise


def put_text(path):
    out = page_of(path)
    if path == "site/start.md":
        with open("README.md", encoding="utf-8") as f:
            first_screen = f.read().split("\n## ")[0]
        body = text_as_html("README.md", out, first_screen) + text_as_html(path, out)
    else:
        body = text_as_html(path, out)
    if path == "site/go.md":
        body = with_manual(body)
    if path == "RULES.md":
        body = numbered_rules(body)
    if os.path.dirname(path) == "course" and path != "course/README.md":
        body = with_players(path, body)
    scripts = ["player.js"] if 'class="player"' in body else []
    put_page(out, title_in(body, path), body + ways_on(path), scripts)


def with_manual(body):
    """Functions in the cells of tables lead to their pages."""
    known = functions()

    def name(match):
        return f'<a href="../man/{known[match[0]][0]}.html">{match[0]}</a>' if match[0] in known else match[0]

    def code(match):
        return re.sub(r"\b(?:spawn|[a-z]+_[a-z_]+)\b", name, match[0])
    return re.sub(r"<td.*?</td>", lambda cell: re.sub(r"<code>[^<]*</code>", code, cell[0]), body, flags=re.S)


# ---- The course ------------------------------------------------------------------------------------------

def schedule_of(program):
    """What the explorer found, or None."""
    path = os.path.join(SCHEDULES, program[:-2] + ".json")
    if not program.endswith(".c") or not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def with_players(path, body, make=player.player):
    """At the end of the sections on the wrong and on the less wrong program, the schedule that breaks it."""
    def section(match):
        program = f"{path[:-3]}/{'wrong' if match[2].startswith('Wrong') else 'less-wrong'}.c"
        data = schedule_of(program)
        return match[0] + (make(data, os.path.basename(program)) if data else "")
    return re.sub(r"(<h2[^>]*>)((?:Wrong|Less wrong)\b.*?)(?=<h2|\Z)", section, body, flags=re.S)


def ways_on(path):
    """Links from one chapter to the next."""
    name = os.path.basename(path)
    if os.path.dirname(path) != "course" or name not in CHAPTERS:
        booklet = '<p><a href="booklet.html">All chapters on one page, for printing</a></p>'
        return booklet if path == "course/README.md" else ""
    i = CHAPTERS.index(name)
    links = [f'<a href="{page_of(CHAPTERS[k])}">{word}</a>'
             for k, word in ((i - 1, "Previous chapter"), (i + 1, "Next chapter")) if 0 <= k < len(CHAPTERS)]
    return f'<nav aria-label="Chapters">{" ".join(links)} <a href="index.html">All chapters</a></nav>'


def as_list(data, title):
    steps = player.step_items(data["schedule"])
    source = "".join(f'<pre class="listing" tabindex="0">{player.source_rows(name, lines)}</pre>'
                     for name, lines in data["schedule"]["sources"].items())
    return (f'<p><b>{html.escape(title)}</b></p>{source}'
            f'<p><b>The schedule that breaks {html.escape(title)}</b></p><ol class="steps">{steps}</ol>')


def put_booklet():
    """All of the course, for paper."""
    bodies = []
    for i, name in enumerate(["README.md"] + CHAPTERS):
        path = "course/" + name
        body = with_players(path, text_as_html(path, "course/booklet.html"), as_list)
        bodies.append(re.sub(r' id="([^"]*)"', rf' id="{i}-\1"', body))
    put_page("course/booklet.html", "The course", "\n".join(bodies))


# ---- Sources, directories, pictures ----------------------------------------------------------------------

def listing(path, text):
    rows = player.highlighted(text, player.lexer_for(path, text))
    lines = "".join(
        f'<span class="line" id="line-{i}"><a class="no" href="#line-{i}">{i}</a><code>{row}</code>\n</span>'
        for i, row in enumerate(rows, 1))
    return f'<pre class="listing" tabindex="0">{lines}</pre>'


def put_source(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    data, title = schedule_of(path), f"<h1>{html.escape(path)}</h1>"
    if not data:
        return put_page(page_of(path), path, title + listing(path, text))
    play = player.player(data, os.path.basename(path))
    if os.path.basename(path) not in ("wrong.c", "less-wrong.c"):
        # An exercise asks for it.
        play = f"<details><summary>Show the schedule that breaks it</summary>{play}</details>"
        return put_page(page_of(path), path, title + listing(path, text) + play, ["player.js"])
    play = re.sub(r'<span class="row" data-file="[^"]*" data-line="(\d+)"', r'\g<0> id="line-\1"', play)
    return put_page(page_of(path), path, title + play, ["player.js"])


def put_directory(path):
    names = sorted(n for n in os.listdir(path) if os.path.isfile(os.path.join(path, n)))
    out = page_of(path)
    links = [(resolve(path + "/x", out, n), html.escape(f"{path}/{n}")) for n in names]
    items = "".join(f'<li><a href="{to}">{name}</a></li>' for to, name in links)
    put_page(out, path, f'<h1>{html.escape(path)}</h1><ul class="listing">{items}</ul>')


def put(path):
    if path.endswith((".svg", ".png")):
        os.makedirs(os.path.dirname(os.path.join(OUT, path)), exist_ok=True)
        shutil.copy(path, os.path.join(OUT, path))
    elif path in MANUAL:
        pass
    elif os.path.isdir(path):
        if not os.path.exists(path + "/README.md"):
            put_directory(path)
        else:
            queue.append(path + "/README.md")
    elif path.endswith(".md"):
        put_text(path)
    else:
        put_source(path)


# ---- The manual ------------------------------------------------------------------------------------------

def functions():
    """By name: page, and what the page is about."""
    found = {}
    for path in MANUAL:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        about = re.search(r"^\.Nd (.*)", text, flags=re.M)[1]
        for name in re.findall(r"^\.Nm (\w+)", text, flags=re.M):
            found.setdefault(name, (os.path.basename(path), about))
    return found


def put_manual():
    known, index, anchors = functions(), [], {}

    def reference(match):
        """Only to pages that are here; another name of one leads to it."""
        name = match[1]
        page = f"{name}.3" if f"man/{name}.3" in MANUAL else known[name][0] if name in known else None
        return f'<a class="Xr" href="{page}.html">{match[2]}</a>' if page else f'<code>{match[2]}</code>'

    for path in MANUAL:
        page = os.path.basename(path)
        body = run("mandoc", "-Thtml", "-Ofragment,man=%N.%S.html", path)
        body = re.sub(r'<a class="Xr" href="([^"]*?)\.\d\w*\.html">(.*?)</a>', reference, body, flags=re.S)
        body = re.sub(r"<(/?)h2", r"<\1h3", body)
        body = re.sub(r"<(/?)h1", r"<\1h2", body)
        body = re.sub(r"<pre>", '<pre tabindex="0">', body)
        body = re.sub(r'<table class="Bl-column"', '<table tabindex="0" class="Bl-column"', body)
        anchors[page] = set(re.findall(r'id="([^"]*)"', body))
        put_page(f"man/{page}.html", page[:-2], f'<h1>{page[:-2]}</h1><div class="manual">{body}</div>')
    for name, (page, about) in sorted(known.items(), key=lambda item: item[0].lower()):
        url = f"{page}.html" + (f"#{name}" if name in anchors[page] else "")
        index.append(f'<li><a href="{url}"><code>{name}</code></a></li>')
        documents.append({"id": len(documents), "url": "man/" + url, "page": f"Manual, {page[:-2]}",
                          "title": name, "text": about})
    pages = "".join(f'<dt><a href="{page}.html">{page[:-2]}</a></dt><dd>{html.escape(about)}</dd>'
                    for page, about in sorted(set(known.values())))
    put_page("man/index.html", "Manual", f'<h1>Manual</h1><dl class="pages">{pages}</dl>'
             f'<h2 id="functions">Index of functions and macros</h2><ul class="index">{"".join(index)}</ul>')


# ---- All of it -------------------------------------------------------------------------------------------

def put_search():
    body = '''<h1>Search</h1><div class="finder"><label for="words">Words, or the name of a function</label>
<input id="words" type="search" autocomplete="off"><p id="found" role="status"></p><ol id="results"></ol>
<noscript><p>Search needs JavaScript.
<a href="man/index.html">The index of functions</a> does not.</p></noscript></div>'''
    shutil.copy(MINISEARCH, os.path.join(OUT, "minisearch.js"))
    shutil.copy(os.path.join(HERE, "search.js"), OUT)
    put_page("search.html", "Search", body, ["minisearch.js", "documents.js", "search.js"])
    write("documents.js", "const documents = " + json.dumps(documents, separators=(",", ":")) + ";\n")


def main():
    os.makedirs(OUT, exist_ok=True)
    for part in ("site.css", "player.js"):
        shutil.copy(os.path.join(HERE, part), OUT)
    queue.extend(PAGES)
    while queue:
        path = queue.pop()
        if path not in done:
            done.add(path)
            put(path)
    put_booklet()
    put_manual()
    if os.path.exists(MINISEARCH):
        put_search()
    for error in sorted(set(errors)):
        print(error, file=sys.stderr)
    print(f"The site: {OUT}/index.html, {sum(len(files) for _, _, files in os.walk(OUT))} files")
    return 1 if errors else 0


with open("chan.h", encoding="utf-8") as header:
    NUMBER = int(re.search(r"define CHAN_VERSION (\d+)", header.read())[1])
VERSION = f"{NUMBER // 10000}.{NUMBER // 100 % 100}.{NUMBER % 100}"
sys.exit(main())
