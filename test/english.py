#!/usr/bin/env python3
"""english.py [FILE...]: finds the shapes of sentences that readers of our texts stumbled over

It reads pages (.md), the manual (.3) and the comments of sources, but no code, headings or short cells of tables.
Without FILE it reads all that a user of the library reads.  It prints FILE:LINE, what is wrong and the sentence, and
exits with 1 if it found any.  It finds only the worst shapes and cannot see whether a text is good.
"""
import glob
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILES = ("*.md", "bench/README.md", "course/*.md", "examples/*.md", "examples/*/README.md", "packaging/README.md",
         "site/*.md", "test/README.md", "man/*.3", "*.[ch]", "extra/*.[ch]", "course/*/*.c", "course/*/solutions/*.c",
         "examples/*.[ch]", "examples/*/*.[ch]", "test/programs/*.c", "test/programs/classical/*.c")
LONGEST = 30            # words of a sentence, or of an item where it is a list with semicolons

CLAUSE, LATE = "a clause as the subject", "the verb comes late"
SHAPES = [
    (CLAUSE, r"^(?:Who|Whoever|Whose|What|Whatever|who|whoever|whatever) (?!.*\?$)"),
    (CLAUSE, r"(?:; |, (?:and|but|or) |\b(?:that|because|if|while) )(?:who|whoever|whatever) \w+s\b(?!.*\?$)"),
    (CLAUSE, r"^(?:To|Not to) \w+(?: (?!what|which|who|that|how|where|when|whether|if)[\w/'-]+){0,5} (?:is|are|takes|costs|means)\b"),
    (CLAUSE, r"\b(?:not to|to have) \w+ (?:is|are)\b"),
    ("name who tells whom", r"\b(?:is|are|was|were|be|been|being) told\b"),
    ("two 'so that' in one sentence", r"\bso that\b.*\bso that\b"),
    ("a duty in the passive", r"^To be \w+(?:ed|en|t|de)\b"),
    (LATE, r"^(?:Slow|Quick|Fast|Cheap|Dear|Wrong|Right|New|Left|Open|Missing|Not \w+) (?:is|are) "),
    ("a private construction", r"\bis nothing (?:that|which)\b|\bby whatever\b|\bby the mood of\b|\blooks? whether\b"),
]

# mdoc: macros that stand for a name in a sentence, those whose words are read, and the ends of parts that are not prose.
NAMES = {".Fn", ".Fa", ".Dv", ".Er", ".Va", ".Xr", ".Li", ".Pa", ".Fl", ".Vt", ".Nm", ".Ar", ".Ev", ".Ft", ".Ox", ".Pq"}
WORDS = {".Em", ".Sy", ".Qq", ".Lk"}
LITERAL = {".Bd": ".Ed", ".Bl -column": ".El", ".Sh NAME": ".Sh", ".Sh SYNOPSIS": ".Sh", ".Sh SEE": ".Sh"}


def paragraphs_of_page(lines):
    """(number, text) of each line of Markdown that is prose; (number, None) ends a paragraph."""
    fenced = prose = False
    for number, line in enumerate(lines, 1):
        # An indented line without an empty line above it continues the paragraph.
        indented = line.startswith(("    ", "\t")) and not prose
        prose = False
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif line.startswith("|"):
            for cell in re.findall(r"[^|]*[.?;:](?: [^|]*)?(?=\|)", line):
                yield from ((number, cell), (number, None))
        elif not fenced and not indented and not line.startswith(("<", "!", "#")) and line.strip():
            mark = re.match(r"\s*(?:[-*>]|\d+\.)\s+|\*\*[^*]+[.:]\*\*$|\*\*[^*]+\.\*\* ", line)
            if mark:
                yield number, None
            yield number, line[mark.end():] if mark else line
            prose = True
        if not prose:
            yield number, None


def paragraphs_of_manual(lines):
    end = None
    for number, line in enumerate(lines, 1):
        macro, _, rest = line.partition(" ")
        if end:
            end = None if macro == end else end
        if not end:
            end = LITERAL.get(macro) or LITERAL.get(" ".join(line.split()[:2]))
        if end or line.startswith(".") and macro not in NAMES | WORDS:
            yield number, None
        elif macro in NAMES:
            yield number, "CODE" + "".join(re.findall(r" ([.,:;)]+)(?= |$)", line))
        else:
            yield number, re.sub(r" ([.,:;)])$", r"\1", rest if macro in WORDS else line)


def paragraphs_of_source(lines):
    """Comments.  What is indented in one is an example or a table."""
    inside = False
    for number, line in enumerate(lines, 1):
        text = re.sub(r"^\s*\*(?!/)", "", line) if inside else line
        if not inside:
            at = line.find("/*")
            if at < 0:
                continue
            yield number, None
            text, inside = line[at + 2:], True
        if "*/" in text:
            text, inside = text[:text.find("*/")], False
        example = re.match(r"\s*(?:\t|    |  +\S+ {2,})", text) or re.match(r"[ *=-]*$", text)
        yield number, None if example else text


def sentences(pieces):
    """(line, sentence) of prose."""
    held = []
    for number, text in [*pieces, (0, None)]:
        if text is not None:
            held.append((number, plain(text).strip() + " "))
            continue
        joined = "".join(part for _, part in held)
        lines = [number for number, part in held for _ in part]
        for match in re.finditer(r"\S.*?(?:[.?!:](?=[\"')]*\s)[\"')]*|$)", joined.strip() + " "):
            yield lines[match.start()], match.group(0).strip()
        held = []


def plain(text):
    """Without marks of form; code counts as a word."""
    text = re.sub(r"`[^`]*`", "CODE", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = text.replace("\\-", "-").replace("**", "")
    return re.sub(r"\b(e\.g|i\.e|etc|cf|vs)\.", r"\1", text)


def faults(sentence):
    yield from (what for what, pattern in SHAPES if re.search(pattern, sentence))
    items = sentence.split(";") if sentence.count(";") > 1 else [sentence]
    count = max(len(re.findall(r"[^\W_][\w'./-]*", item)) for item in items)
    if count > LONGEST:
        yield f"{count} words"


def judge(name):
    with open(name, encoding="utf-8") as text:
        lines = text.read().split("\n")
    read = {".md": paragraphs_of_page, ".3": paragraphs_of_manual}.get(os.path.splitext(name)[1], paragraphs_of_source)
    found = [(line, what, sentence) for line, sentence in sentences(read(lines)) for what in faults(sentence)]
    for line, what, sentence in found:
        print(f"{os.path.relpath(name, TOP)}:{line}: {what}: {sentence}")
    return len(found)


def main():
    names = sys.argv[1:] or sorted(name for files in FILES for name in glob.glob(os.path.join(TOP, files)))
    return 1 if sum([judge(name) for name in names]) else 0


if __name__ == "__main__":
    sys.exit(main())
