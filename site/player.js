/*
 * Steps through a schedule that test/explore wrote (test/README.md has the format): buttons, arrow keys,
 * Home and End.  Without this file a page shows the source and the schedule as a list.
 */
"use strict";

(() => {
  const ROW = 22,
    LANE = 34,
    LEFT = 20,
    TOP = 30;

  function make(name, attributes = {}, ...children) {
    const svg = ["svg", "line", "circle", "path", "text", "rect", "title", "g"].includes(name);
    const e = svg
      ? document.createElementNS("http://www.w3.org/2000/svg", name)
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
    e.append(...children);
    return e;
  }

  class Player {
    constructor(figure) {
      const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
      this.figure = figure;
      this.names = data.schedule.threads;
      this.steps = data.schedule.steps;
      this.verdict = data.schedule.verdict;
      this.events = data.traceEvents;
      /* Threads of the pool without a task do nothing that is told. */
      this.lanes = Object.keys(this.names).filter(id =>
        this.steps.some(s => s.threads.some(t => t.thread == id))
      );
      this.at = 0;
      this.build();
      this.show(0);
    }

    /* ---- What stands there from the beginning ------------------------------------------ */

    build() {
      this.says = make("p", { class: "says", "aria-live": "polite" });
      this.buttons = [
        ["first", "|◀", "First step (Home)", () => this.show(0)],
        ["back", "◀", "Step back (left arrow)", () => this.show(this.at - 1)],
        ["forward", "▶", "Step forward (right arrow)", () => this.show(this.at + 1)],
        ["last", "▶|", "Last step, where it fails (End)", () => this.show(this.steps.length - 1)]
      ].map(([name, sign, label, act]) => {
        const b = make("button", { type: "button", class: name, "aria-label": label, title: label }, sign);
        b.addEventListener("click", act);
        return b;
      });
      this.count = make("span", { class: "count" });
      this.threads = make("tbody");
      this.values = make("tbody");
      this.chart = make("div", {
        class: "chart",
        tabindex: "0",
        role: "img",
        "aria-label": "Chart of the steps so far"
      });
      this.figure
        .querySelector("figcaption")
        .after(make("div", { class: "controls" }, ...this.buttons, this.count), this.says);
      this.figure
        .querySelector(".source")
        .after(
          make(
            "div",
            { class: "state" },
            this.table("What each thread does", ["Thread", "Line", "Holds", "Waits"], this.threads),
            this.table("Values after this step", ["What", "Value"], this.values),
            this.chart
          )
        );
      this.figure.classList.add("alive");
      /* The list stays for those who want to read on. */
      this.figure.querySelector("details").open = false;
    }

    table(caption, heads, body) {
      const row = make("tr", {}, ...heads.map(h => make("th", { scope: "col" }, h)));
      return make(
        "div",
        { class: "scrolls", tabindex: "0", role: "region", "aria-label": caption },
        make("table", {}, make("caption", {}, caption), make("thead", {}, row), body)
      );
    }

    /* ---- One step ------------------------------------------------------------------------ */

    show(n) {
      this.at = Math.max(0, Math.min(n, this.steps.length - 1));
      const step = this.steps[this.at];
      const last = this.at == this.steps.length - 1;
      const where = step.line ? ` (${step.file}:${step.line})` : "";
      this.count.textContent = `step ${step.n} of ${this.steps.at(-1).n}`;
      this.says.textContent = `${this.names[step.thread]} ${step.does}${where}`;
      if (last) this.says.append(make("strong", { class: "verdict" }, "Here it fails."));
      /* A button that is switched off would lose the focus, and the keys with it. */
      this.buttons.forEach((b, i) => b.setAttribute("aria-disabled", i < 2 ? this.at == 0 : last));
      this.figure.dataset.step = step.n;
      this.mark(step);
      this.tell(step, this.steps[this.at - 1]);
      this.draw(this.at);
    }

    /* The line of each thread, and that of the step. */
    mark(step) {
      for (const row of this.figure.querySelectorAll(".source .row")) {
        row.classList.remove("current", "tight");
        row.querySelector(".marks").replaceChildren();
      }
      for (const t of step.threads) {
        const row = this.row(t.file, t.line);
        if (row && !t.ended) row.querySelector(".marks").append(this.chip(t.thread));
      }
      const box = this.figure.querySelector(".source");
      for (const marks of box.querySelectorAll(".marks:has(.chip)")) {
        const code = marks.previousElementSibling;
        if (code.offsetLeft + code.offsetWidth + marks.offsetWidth > box.clientWidth)
          marks.parentElement.classList.add("tight");
      }
      const current = this.row(step.file, step.line);
      if (!current) return;
      current.classList.add("current");
      /* Not scrollIntoView, which would move the page as well. */
      if (current.offsetTop < box.scrollTop || current.offsetTop + ROW > box.scrollTop + box.clientHeight)
        box.scrollTop = current.offsetTop - box.clientHeight / 2;
    }

    row(file, line) {
      return [...this.figure.querySelectorAll(`.row[data-line="${line}"]`)].find(r => r.dataset.file == file);
    }

    color(thread) {
      return "t" + (this.lanes.indexOf(String(thread)) % 6);
    }

    chip(thread) {
      return make("span", { class: "chip " + this.color(thread) }, this.names[thread]);
    }

    tell(step, before) {
      this.threads.replaceChildren(
        ...step.threads.map(t =>
          make(
            "tr",
            t.thread == step.thread ? { class: "current" } : {},
            make("th", { scope: "row" }, this.chip(t.thread)),
            make("td", {}, t.ended ? "has ended" : String(t.line)),
            make("td", {}, t.holds.join(", ") || "–"),
            make("td", {}, t.waits || "–")
          )
        )
      );
      const rows = s =>
        Object.entries(s ? s.values : {}).concat(
          Object.entries(s ? s.channels : {}).map(([name, c]) => [
            name,
            (c.capacity ? `${c.elements} of ${c.capacity} elements` : "unbuffered") +
              (c.closed ? ", closed" : "")
          ])
        );
      const old = new Map(rows(before));
      this.values.replaceChildren(
        ...rows(step).map(([name, value]) =>
          make(
            "tr",
            before && old.get(name) !== value ? { class: "changed" } : {},
            make("th", { scope: "row" }, make("code", {}, name)),
            make("td", {}, value)
          )
        )
      );
      if (!rows(step).length)
        this.values.append(make("tr", {}, make("td", { colspan: 2 }, "nothing that threads share")));
    }

    /* ---- The chart: a lane for each thread, a row for each step so far --------------------- */

    x(thread) {
      return LEFT + this.lanes.indexOf(String(thread)) * LANE;
    }

    /* Times are numbers of steps; of a long schedule the middle is missing. */
    y(time) {
      let row = this.steps.findIndex(s => s.n + 1 > time);
      if (row < 0) row = this.steps.length;
      const n = row < this.steps.length ? this.steps[row].n : time;
      return TOP + (row + Math.max(0, Math.min(time - n, 0.9))) * ROW + ROW / 2;
    }

    draw(last) {
      const words = LEFT + this.lanes.length * LANE,
        width = words + 340,
        height = TOP + (last + 2) * ROW;
      const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
      this.lanes.forEach(id => this.drawLane(svg, id, last));
      this.drawFlows(svg, this.steps[last].n);
      this.steps.slice(0, last + 1).forEach((s, i) => {
        const y = TOP + i * ROW + ROW / 2,
          now = i == last ? " now" : "";
        svg.append(
          make("circle", {
            cx: this.x(s.thread),
            cy: y,
            r: now ? 6 : 4,
            class: "dot " + this.color(s.thread) + now
          }),
          make("text", { x: words, y: y + 4, class: "words" + now }, `${this.names[s.thread]}: ${s.does}`)
        );
      });
      if (last == this.steps.length - 1)
        svg.append(
          make(
            "text",
            { x: words, y: TOP + (last + 1) * ROW + ROW / 2 + 4, class: "words verdict" },
            this.verdict.split(":")[0] + "!"
          )
        );
      this.chart.replaceChildren(svg);
      this.chart.scrollTop = height;
      this.chart.setAttribute("aria-label", `Chart of the ${last + 1} steps so far`);
    }

    /* Thick while it holds a lock, dashed while it waits. */
    drawLane(svg, id, last) {
      const x = this.x(id),
        color = this.color(id);
      let first = true;
      for (let i = 0; i <= last; i++) {
        const t = this.steps[i].threads.find(one => one.thread == id);
        if (!t) continue;
        if (first)
          svg.append(make("text", { x: x - 8, y: TOP + i * ROW - 1, class: "lane" }, this.short(id)));
        const own = this.steps[i].thread == id,
          top = TOP + i * ROW + (first ? ROW / 2 : 0);
        const end = t.ended ? ROW / 2 : ROW;
        first = false;
        if (t.ended && !own) continue;
        svg.append(
          make("line", {
            x1: x,
            x2: x,
            y1: top,
            y2: TOP + i * ROW + end,
            class: ["life", color, t.waits ? "waits" : "", t.holds.length ? "holds" : ""].join(" ")
          })
        );
      }
    }

    short(id) {
      const name = this.names[id];
      return name.length <= 5 ? name : name.slice(0, 1) + (name.match(/ (\d+)$/) || ["", "…"])[1];
    }

    /* What starts a thread, and what brings an element to it. */
    drawFlows(svg, n) {
      for (const begin of this.events.filter(e => e.ph == "s")) {
        const end = this.events.find(e => e.ph == "f" && e.id == begin.id);
        if (!end || end.ts >= n + 1) continue;
        const [x1, y1, x2, y2] = [this.x(begin.tid), this.y(begin.ts), this.x(end.tid), this.y(end.ts)];
        const back = x2 > x1 ? -7 : 7;
        svg.append(
          make(
            "g",
            { class: "flow " + begin.cat },
            make("path", { d: `M${x1},${y1} L${x2 + back},${y2}` }),
            make("path", { class: "head", d: `M${x2},${y2} l${back},-4 l0,8 z` }),
            make(
              "title",
              {},
              begin.cat == "start" ? "starts" : `${begin.name} ${(begin.args || {}).value || ""}`
            )
          )
        );
      }
    }
  }

  const players = [...document.querySelectorAll("figure.player")].map(f => new Player(f));

  window.addEventListener("beforeprint", () =>
    players.forEach(p => (p.figure.querySelector("details").open = true))
  );

  /* The keys go to the player that has the focus; if there is only one, to that. */
  document.addEventListener("keydown", event => {
    const player =
      players.find(p => p.figure.contains(document.activeElement)) ||
      (players.length == 1 ? players[0] : null);
    const inside = document.activeElement && /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
    const to =
      player &&
      { ArrowLeft: player.at - 1, ArrowRight: player.at + 1, Home: 0, End: player.steps.length - 1 }[
        event.key
      ];
    const ours = player && (player.figure.contains(document.activeElement) || event.key.startsWith("Arrow"));
    if (to === null || to === undefined || inside || !ours || event.ctrlKey || event.altKey || event.metaKey)
      return;
    event.preventDefault();
    player.show(to);
  });
})();
