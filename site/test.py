#!/usr/bin/env python3
"""The site in a real browser, headless: python3 site/test.py SITE, by make site-test."""
import glob
import json
import os
import re
import subprocess
import sys
import unittest
from urllib.parse import unquote, urldefrag, urljoin

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.chrome.service import Service

SITE = os.path.abspath(sys.argv.pop(1))
BUILD = os.path.dirname(SITE)
PAGES = sorted(glob.glob(SITE + "/**/*.html", recursive=True))
SCHEDULES = sorted(glob.glob(BUILD + "/schedules/**/*.json", recursive=True))
NARROW, WIDE = 360, 1280
WIDTH = "return document.documentElement.scrollWidth"

# Text that is there: its colour against what is behind it.  What is below 4.5 is returned.
CONTRAST = r"""
const parse = s => (s.match(/[\d.]+/g) || []).map(Number);
const linear = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = c => { const [r, g, b] = c.map(linear); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = e => { for (; e; e = e.parentElement) {
	const c = parse(getComputedStyle(e).backgroundColor); if (c.length == 3 || c[3] > 0) return c; }
	return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255]; };
const found = new Map(), seen = new Set();
for (const e of document.querySelectorAll("body, body *")) {
	const says = [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim());
	if (!says || !e.checkVisibility() || e.closest("script, style"))
		continue;
	/* One of each kind, since a source has thousands. */
	const kind = [e, e.parentElement, e.parentElement?.parentElement].map(
		x => x && x.tagName + x.getAttribute("class")).join();
	if (seen.has(kind)) continue;
	seen.add(kind);
	const style = getComputedStyle(e), back = behind(e);
	const color = parse(e.closest("svg") ? style.fill : style.color);
	const [a, b] = [light(color.slice(0, 3)), light(back.slice(0, 3))].sort((x, y) => y - x);
	const ratio = (a + 0.05) / (b + 0.05);
	if (ratio < 4.5)
		found.set(`${color} on ${back}`, `${e.tagName}.${e.getAttribute("class")}: ${ratio}`);
}
return [...found];
"""

# Steps to the end, and returns which lines were marked at each step.
STEPS = """
const lines = [], count = document.querySelectorAll("ol.steps li:not(.gap)").length;
for (let i = 0; i < count; i++) {
	lines.push([...document.querySelectorAll(".source .row.current")].map(e => Number(e.dataset.line)));
	document.querySelector("figure.player .forward").click();
}
return lines;
"""


# Threads whose mark covers a part of the code.
COVERED = """
return [...document.querySelectorAll(".source .chip")].filter(chip => {
	const a = chip.getBoundingClientRect(), b = chip.closest(".row").querySelector("code").getBoundingClientRect();
	return a.left < b.right && b.left < a.right && a.top + 1 < b.bottom && b.top < a.bottom - 1;
}).map(chip => chip.closest(".row").textContent);
"""


def start_browser():
    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   f"--window-size={WIDE},900"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


class Site(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = start_browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()

    def setUp(self):
        self.look(WIDE)
        self.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

    def look(self, width, scheme="light"):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
        self.scheme(scheme)

    def scheme(self, scheme):
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def open(self, page):
        self.browser.get("file://" + (page if page.startswith("/") else f"{SITE}/{page}"))

    def js(self, script, *args):
        return self.browser.execute_script(script, *args)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def press(self, *keys):
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)

    # ---- Every page ---------------------------------------------------------------------------------------

    def test_pages_load_fit_a_phone_have_contrast_and_their_links_lead_somewhere(self):
        ids, links = {}, {}
        for page in PAGES:
            self.look(NARROW)
            self.open(page)
            name = os.path.relpath(page, SITE)
            with self.subTest(page=name):
                self.assertEqual(self.browser.get_log("browser"), [], "the console says")
                self.assertLessEqual(self.js(WIDTH), NARROW, "scrolls sideways")
                self.js("document.querySelectorAll('.last').forEach(b => b.click());"
                        "document.querySelectorAll('details').forEach(d => d.open = true)")
                self.assertLessEqual(self.js(WIDTH), NARROW, "scrolls sideways, at the last step")
                self.assertEqual(self.js(CONTRAST), [], "too little contrast")
                self.scheme("dark")
                self.assertEqual(self.js(CONTRAST), [], "too little contrast in the dark")
            ids[page] = set(self.js("return [...document.querySelectorAll('[id]')].map(e => e.id)"))
            links[page] = self.js("return [...document.querySelectorAll('[href], [src]')]"
                                  ".map(e => e.getAttribute('href') || e.getAttribute('src'))")
        for page, targets in links.items():
            for target in set(targets):
                if re.match(r"(https?|data|mailto):", target):
                    continue
                path, fragment = urldefrag(urljoin(page, target))
                path = unquote(path)
                with self.subTest(page=os.path.relpath(page, SITE), link=target):
                    self.assertTrue(os.path.isfile(path), "no such file")
                    if fragment and path in ids:
                        self.assertIn(unquote(fragment), ids[path])

    # ---- The player ---------------------------------------------------------------------------------------

    def current(self):
        return [int(e.get_attribute("data-line")) for e in self.all(".source .row.current")]

    def chips(self):
        """Where each thread stands in the source."""
        return dict(self.js("return [...document.querySelectorAll('.source .chip')].map("
                            "c => [c.textContent, Number(c.closest('.row').dataset.line)])"))

    def step(self):
        return int(self.one("figure.player").get_attribute("data-step"))

    def open_player(self, schedule):
        program = os.path.relpath(schedule, BUILD + "/schedules")[:-len(".json")] + ".c"
        self.open(program + ".html")
        self.js("document.querySelectorAll('main > details').forEach(d => d.open = true)")
        return program

    def test_the_player_comes_to_the_failure_of_each_program(self):
        self.assertGreater(len(SCHEDULES), 20)
        for path in SCHEDULES:
            with self.subTest(program=os.path.relpath(path, BUILD)):
                program = self.open_player(path)
                with open(path[:-len("json")] + "said", encoding="utf-8") as f:
                    verdict = f.readline().strip()[len(program) + 2:]
                self.assertIn(verdict, self.one("figcaption").text)
                self.one("figure.player .last").click()
                self.assertIn("Here it fails.", self.one(".says").text)
                for width in (NARROW, WIDE):
                    self.look(width)
                    self.one("figure.player .back").click()
                    self.one("figure.player .last").click()
                    self.assertEqual(self.js(COVERED), [], width)
                places = [int(n) for n in re.findall(r" at [\w.-]+:(\d+)", verdict)]
                if verdict.startswith("deadlock"):
                    # Each that waits stands where the verdict says.
                    waiting = re.findall(r"(?:^deadlock: |; )(.*?) waits? .*? at [\w.-]+:(\d+)", verdict)
                    self.assertTrue(waiting)
                    for name, line in waiting:
                        self.assertEqual(self.chips().get(name), int(line), name)
                else:
                    self.assertEqual(len(self.current()), 1)
                    self.assertIn(self.current()[0], places)

    def test_each_step_forward_and_back_shows_its_line(self):
        for path in SCHEDULES:
            with self.subTest(program=os.path.relpath(path, BUILD)):
                self.open_player(path)
                with open(path, encoding="utf-8") as f:
                    schedule = json.load(f)["schedule"]
                lines = [[s["line"]] if "line" in s else [] for s in schedule["steps"]]
                self.assertEqual(self.js(STEPS), lines)
                self.assertEqual(self.step(), schedule["steps"][-1]["n"])
                rows = len(self.all(".chart circle"))
                self.assertEqual(rows, len(lines))
                self.js("document.querySelector('figure.player').focus()")
                self.press(Keys.ARROW_LEFT)
                self.assertEqual(self.current(), lines[-2])
                self.assertEqual(len(self.all(".chart circle")), rows - 1)
                self.press(Keys.HOME)
                self.assertEqual(self.step(), 1)

    def test_the_player_shows_locks_waits_values_and_channels(self):
        self.open("course/2-waiting/less-wrong.c.html")
        self.one(".last").click()
        table = self.one(".state table").text
        self.assertRegex(table, r"take_one 1 \d+ lock")
        self.assertRegex(self.all(".state table")[1].text, r"items 0")
        self.press(Keys.HOME)
        while "waits on more" not in self.one(".says").text:
            self.press(Keys.ARROW_RIGHT)
        self.assertRegex(self.one(".state table").text, r"take_one 1 18 – waits on more")
        self.open("course/6-select/less-wrong.c.html")
        self.assertRegex(self.all(".state table")[1].text, r"left 0 of 1 elements")

    def test_chapters_have_a_player_beside_each_wrong_program(self):
        chapters = [p for p in PAGES if re.search(r"/course/\d-\w+\.html$", p)]
        self.assertEqual(len(chapters), 8)
        for page in chapters:
            self.open(page)
            names = [e.text.split(":")[0] for e in self.all("figure.player figcaption")]
            self.assertEqual(names, ["wrong.c", "less-wrong.c"], page)
        # The keys belong to the one that has the focus.
        self.js("document.querySelectorAll('figure.player')[1].focus()")
        self.press(Keys.ARROW_RIGHT)
        self.assertEqual([e.get_attribute("data-step") for e in self.all("figure.player")], ["1", "2"])

    def test_a_teacher_makes_a_page_of_a_program(self):
        subprocess.run(["make", "-s", "player", "PROGRAM=test/programs/opposite_locks.c", "BUILD=" + BUILD],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.open(BUILD + "/test-programs-opposite_locks.html")
        self.assertEqual(self.browser.get_log("browser"), [])
        self.one(".last").click()
        self.assertEqual(self.chips(), {"main": 23, "eat 1": 11})

    def test_slides_fit_their_pages(self):
        subprocess.run(["make", "-s", "slides", "BUILD=" + BUILD], check=True, stdout=subprocess.DEVNULL)
        self.open(BUILD + "/slides.html")
        self.assertEqual(len(self.all("h1")), 8)
        too_large = self.js("return [...document.querySelectorAll('section')].filter(s => s.scrollHeight"
                            " > s.clientHeight || s.scrollWidth > s.clientWidth).map(s => s.innerText)")
        self.assertEqual(too_large, [])

    def test_without_javascript_the_schedule_is_a_list(self):
        self.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        self.open("course/1-memory/less-wrong.c.html")
        steps = self.all("ol.steps li")
        self.assertEqual(len(steps), 9)
        self.assertTrue(all(s.is_displayed() for s in steps))
        self.assertEqual(self.all(".controls"), [])
        self.assertIn("counter = counter + 1;", self.one(".source").text)

    def test_code_and_tables_are_seen_whole(self):
        hidden = "return [...document.querySelectorAll('%s')].filter(e => e.scrollWidth > e.clientWidth).length"
        for page in ("index.html", "readme.html", "site/go.html", "examples/cookbook.html"):
            self.open(page)
            self.assertEqual(self.js(hidden % "main > pre"), 0, page)
        # A tab is eight columns, whatever stands before the code.
        self.open("course/2-waiting/right.c.html")
        self.assertEqual(self.js("""
            const widths = [...document.querySelectorAll(".line code")].filter(c => /^\t\S/.test(c.textContent))
                .map(c => { const r = document.createRange(); r.setStart(c.firstChild, 0); r.setEnd(c.firstChild, 1);
                    return Math.round(r.getBoundingClientRect().width / 8); });
            return [...new Set(widths.map(w => w > 6))];"""), [True])
        self.look(NARROW)
        self.open("site/go.html")
        self.assertGreater(len(self.all(".stacks")), 5)
        self.assertEqual(self.js(hidden % ".stacks"), 0)

    # ---- The rest -----------------------------------------------------------------------------------------

    def test_search_finds_a_function(self):
        self.open("search.html")
        self.press("chan_select")
        first = self.one("#results a")
        self.assertIn("chan_select", first.text)
        self.press(Keys.TAB, Keys.ENTER)
        self.assertIn("man/chan_select.3.html", self.browser.current_url)
        self.open("search.html")
        self.press("rendezvous")
        self.assertGreater(len(self.all("#results a")), 2)
        # Far down in a long text.
        self.open("search.html")
        self.press("The task counts itself")
        self.assertIn("8. Shutdown (For teachers)", [e.text for e in self.all("#results a")])
        # No text has all of these words.
        self.open("search.html")
        self.press("translate goroutine xyzzyx")
        self.assertGreater(len(self.all("#results a")), 2)
        self.open("search.html")
        self.press("xyzzyx")
        self.assertEqual(self.one("#found").text, "Nothing found")

    def test_everything_is_reached_by_keyboard(self):
        for page in ("index.html", "course/1-memory.html", "course/1-memory/wrong.c.html", "search.html",
                     "man/chan_select.3.html"):
            self.open(page)
            with self.subTest(page=page):
                wanted = self.js("document.activeElement.blur(); return [...document.querySelectorAll("
                                 "'a[href], button, input, summary, [tabindex=\"0\"]')]"
                                 ".filter(e => e.checkVisibility()).length")
                seen = set()
                for _ in range(wanted + 1):
                    self.press(Keys.TAB)
                    element = self.browser.switch_to.active_element
                    if element.tag_name != "body":
                        seen.add(element)
                        style = self.js("return getComputedStyle(arguments[0]).outlineStyle", element)
                        self.assertNotEqual(style, "none", "the focus is not seen")
                self.assertEqual(len(seen), wanted)

    def test_the_buttons_and_the_list_work_by_keyboard(self):
        self.open("course/1-memory/wrong.c.html")
        self.one(".forward").send_keys(Keys.ENTER)
        self.assertEqual(self.step(), 2)
        self.press(Keys.SPACE)
        self.assertEqual(self.step(), 3)
        shown = "return document.querySelector('ol.steps li').checkVisibility()"
        self.assertFalse(self.js(shown))
        self.one("figure.player summary").send_keys(Keys.ENTER)
        self.assertTrue(self.js(shown))

    def test_snippets_on_the_page_for_go_programmers_compile(self):
        with open("site/go.md", encoding="utf-8") as f:
            blocks = re.findall(r"```c\n(.*?)```", f.read(), flags=re.S)
        self.assertGreater(len(blocks), 1)
        for block in blocks:
            if block.startswith("\t"):
                block = "static void run(void (*work)(void))\n{\n" + block + "}\n"
            block = "void use(int v);\nint next(void);\n" + block
            done = subprocess.run("cc -std=c11 -Wall -Wextra -Wno-unused-function -Werror -fsyntax-only -I. "
                                  "-include errno.h -include chan.h -include spawn.h -xc -", shell=True,
                                  input=block, encoding="utf-8", stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
