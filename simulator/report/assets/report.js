// Draws the plots of a report from the numbers inlined in it. Needs d3 and Plot; asks nobody for anything.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const color = (name) => `var(--${name})`;
  const OUTCOMES = { done: "good", replayed: "accent", refused: "quiet", failed: "warn", unknown: "bad" };
  const CAUSES = { client_retry: "accent", new_key: "quiet", network_duplicate: "ink", crash_redelivery: "bad", duplicate_command: "good", rewind: "warn" };
  const STORIES = { all: "ink", at_once: "good", after_asking_again: "bad", refused: "quiet" };
  const words = (name) => name.replaceAll("_", " ");
  const clock = (seconds) => {
    const whole = Math.floor(seconds / 60), rest = seconds - 60 * whole;
    return `${whole}:${rest < 10 ? "0" : ""}${Number(rest.toFixed(1))}`;
  };
  const ms = (value) => (value < 1000 ? `${+value.toPrecision(3)} ms` : `${+(value / 1000).toPrecision(3)} s`);
  const count = d3.format(",");

  // What all plots over time share: the axis, and where the faults were.
  const time = (width) => ({ domain: [0, data.end_s], label: null, tickFormat: clock, ticks: width < 500 ? 4 : 8, tickSize: 3, insetRight: 2 });
  const base = (width, height) => ({ width, height, marginLeft: 52, marginRight: 8, marginTop: 22, marginBottom: 26, style: { fontSize: "11px", color: color("muted"), overflow: "visible" } });
  const disturbing = data.faults.filter((fault) => !fault.single_requests).flatMap((fault) => fault.strikes.map(([x1, x2]) => ({ x1, x2: Math.max(x2, x1 + data.end_s / 400), fault: fault.fault })));
  disturbing.sort((a, b) => a.x1 - b.x1); // labels are kept from left to right
  const losing = data.faults.filter((fault) => fault.single_requests).flatMap((fault) => fault.strikes.map(([x1, x2]) => ({ x1, x2, fault: fault.fault })));
  const faults = (labels = true) => [
    Plot.rect(disturbing, { x1: "x1", x2: "x2", fill: color("band"), fillOpacity: 0.13 }),
    Plot.rect(losing, { x1: "x1", x2: "x2", fill: color("band"), fillOpacity: 0.6, frameAnchor: "top", inset: 0, insetTop: 0, y: null, render: thin }),
    data.warm_up_s ? Plot.rect([data], { x1: 0, x2: "warm_up_s", fill: color("quiet"), fillOpacity: 0.14 }) : null,
    labels && data.warm_up_s ? Plot.text([data], { x: 0, text: () => "warm-up", frameAnchor: "bottom-left", dy: -4, dx: 3, textAnchor: "start", fill: color("muted"), fontSize: 10 }) : null,
    labels && disturbing.length <= 12 ? Plot.text(disturbing, { x: "x1", text: (d) => words(d.fault), frameAnchor: "top-left", dy: -14, dx: 1, textAnchor: "start", fill: color("warn"), fontSize: 10, render: apart }) : null,
  ];
  // A fault that takes single requests is a line on the plot's upper edge, not a band.
  function thin(index, scales, values, dimensions, context, next) {
    const group = next(index, scales, values, dimensions, context);
    group.querySelectorAll("rect").forEach((rect) => { rect.setAttribute("y", dimensions.marginTop - 4); rect.setAttribute("height", 3); });
    return group;
  }
  // Labels that would run into the one before them are left out.
  function apart(index, scales, values, dimensions, context, next) {
    let free = -Infinity;
    const kept = index.filter((i) => {
      const x = values.x[i], fits = x >= free && x + 80 < dimensions.width + 40;
      if (fits) free = x + 92;
      return fits;
    });
    return next(kept, scales, values, dimensions, context);
  }
  const hover = (rows, x, text, extra = {}) => Plot.tip(rows, Plot.pointerX({ x, frameAnchor: "top-left", anchor: "top-left", title: text, fill: color("paper"), stroke: color("rule"), fontSize: 11, textPadding: 7, ...extra }));
  const rule = (rows, x) => Plot.ruleX(rows, Plot.pointerX({ x, stroke: color("rule") }));

  const perSecond = (names) => data.starts_s.map((x, i) => ({ x, mid: x + data.width_s / 2, ...Object.fromEntries(names.map((name) => [name, data.columns[name][i] / data.width_s])) }));

  function throughput(width) {
    const names = ["planned", "sent", "answered"], rows = perSecond(names);
    return Plot.plot({
      ...base(width, 230), x: time(width), y: { label: null, grid: true, nice: true, ticks: 5, tickSize: 0 },
      marks: [
        faults(),
        Plot.areaY(rows, { x: "x", y: "planned", curve: "step-after", fill: color("quiet"), fillOpacity: 0.22 }),
        Plot.lineY(rows, { x: "x", y: "sent", curve: "step-after", stroke: color("accent"), strokeWidth: 1.1 }),
        Plot.lineY(rows, { x: "x", y: "answered", curve: "step-after", stroke: color("good"), strokeWidth: 1.8 }),
        Plot.ruleY([0], { stroke: color("rule") }), rule(rows, "mid"),
        hover(rows, "mid", (d) => [clock(d.x), ...names.map((name) => `${name} ${count(Math.round(d[name]))}/s`)].join("\n")),
      ],
    });
  }

  function outcomes(width) {
    const names = Object.keys(OUTCOMES), rows = perSecond(names);
    const long = rows.flatMap((row) => names.map((name) => ({ x1: row.x, x2: row.x + data.width_s, name, value: row[name] })));
    return Plot.plot({
      ...base(width, 230), x: time(width), y: { label: null, grid: true, ticks: 5, tickSize: 0 },
      color: { domain: names, range: names.map((name) => color(OUTCOMES[name])) },
      marks: [
        faults(),
        Plot.rectY(long, Plot.stackY({ order: names }, { x1: "x1", x2: "x2", y: "value", fill: "name", fillOpacity: 0.85, insetLeft: 0.5 })),
        Plot.ruleY([0], { stroke: color("rule") }),
        hover(rows, "mid", (d) => [clock(d.x), ...names.filter((name) => d[name]).map((name) => `${words(name)} ${count(Math.round(d[name] * data.width_s))}`)].join("\n")),
      ],
    });
  }

  function latency(width, element) {
    const story = element.dataset.story, seen = data.latency[story];
    const edge = (bin) => 10 ** (bin / data.bins_per_decade);
    const most = d3.max(seen.heat, (cell) => cell[2]) || 1;
    const heat = seen.heat.map(([i, bin, n]) => ({ x1: i * data.width_s, x2: (i + 1) * data.width_s, y1: edge(bin), y2: edge(bin + 1), n }));
    const rows = data.starts_s.map((x, i) => ({ x: x + data.width_s / 2, p50: seen.p50[i], p99: seen.p99[i] }));
    const top = d3.max(data.latency.all.heat, (cell) => edge(cell[1] + 1));
    const line = (name, stroke) => [
      Plot.lineY(rows, { x: "x", y: name, stroke: color("paper"), strokeWidth: 3.5, strokeOpacity: 0.7 }),
      Plot.lineY(rows, { x: "x", y: name, stroke: color(stroke), strokeWidth: 1.6 }),
      Plot.dot(rows, { x: "x", y: name, fill: color(stroke), r: 1.4 }),
    ];
    return Plot.plot({
      ...base(width, story === "all" ? 280 : 160), ...(story === "all" ? {} : { marginTop: 8 }), x: time(width),
      y: { type: "log", domain: [1, top], label: null, grid: true, tickSize: 0, tickFormat: ms, ticks: decades(1, top) },
      marks: [
        faults(story === "all"),
        Plot.rect(heat, { x1: "x1", x2: "x2", y1: "y1", y2: "y2", fill: color("ink"), fillOpacity: (d) => 0.08 + 0.5 * Math.sqrt(d.n / most), inset: 0.25 }),
        line("p99", "bad"), line("p50", "accent"), rule(rows, "x"),
        hover(rows.filter((d) => d.p50 !== null), "x", (d) => `planned at ${clock(d.x)}\nhalf within ${ms(d.p50)}\n99 % within ${ms(d.p99)}`),
      ],
    });
  }

  const decades = (least, most) => d3.range(0, 8).map((power) => 10 ** power).filter((tick) => tick >= least && tick <= most);
  const tail = (percentile) => Math.log10(100 / (100 - Math.min(percentile, 99.999)));
  const TICKS = [0, 50, 90, 99, 99.9, 99.99];
  function curvesPlot(width, curves, colors) {
    const rows = Object.entries(curves).flatMap(([name, points]) => points.filter(([p]) => p < 100).map(([p, value]) => ({ name, p, x: tail(p), value: Math.max(1, value) })));
    const names = Object.keys(curves), right = d3.max(rows, (d) => d.x) || 1;
    return Plot.plot({
      ...base(width, 280), marginTop: 12, marginBottom: 34,
      x: { label: "share of customers answered by then →", domain: [0, right * 1.02], ticks: TICKS.map(tail).filter((x) => x <= right * 1.02), tickFormat: (x) => `${+(100 - 100 / 10 ** x).toFixed(2)} %`, tickSize: 3 },
      y: { type: "log", label: null, grid: true, tickSize: 0, tickFormat: ms, ticks: decades(d3.min(rows, (d) => d.value), d3.max(rows, (d) => d.value)) },
      color: { domain: names, range: names.map((name) => color(colors[name] || "ink")) },
      marks: [
        Plot.lineY(rows, { x: "x", y: "value", z: "name", stroke: "name", strokeWidth: 1.8, curve: "monotone-x" }),
        Plot.dot(rows, { x: "x", y: "value", fill: "name", r: 1.8 }),
        Plot.tip(rows, Plot.pointer({ x: "x", y: "value", title: (d) => `${words(d.name)}\n${d.p} % within ${ms(d.value)}`, fill: color("paper"), stroke: color("rule"), fontSize: 11 })),
      ],
    });
  }
  const percentiles = (width) => curvesPlot(width, data.curves, STORIES);

  function repeats(width) {
    const names = Object.keys(CAUSES).concat(Object.keys(data.repeats)).filter((name, i, all) => name in data.repeats && all.indexOf(name) === i);
    const rows = data.starts_s.map((x, i) => ({ x, mid: x + data.width_s, i }));
    const long = rows.flatMap(({ x, i }) => names.map((name) => ({ x: x + data.width_s, name, value: data.repeats[name][i] })));
    return Plot.plot({
      ...base(width, 230), x: time(width), y: { label: null, grid: true, ticks: 5, tickSize: 0 },
      color: { domain: names, range: names.map((name) => color(CAUSES[name] || "ink")) },
      marks: [
        faults(),
        Plot.areaY(long, Plot.stackY({ order: names, reverse: false }, { x: "x", y: "value", fill: "name", fillOpacity: 0.8, curve: "step-before" })),
        Plot.ruleY([0], { stroke: color("rule") }), rule(rows, "mid"),
        hover(rows, "mid", (d) => [clock(d.mid), ...names.map((name) => `${words(name)} ${count(data.repeats[name][d.i])}`)].join("\n")),
      ],
    });
  }

  function money(width, element) {
    const one = data.money.find((entry) => entry.currency === element.dataset.currency);
    const scale = 10 ** one.digits, format = d3.format(`,.${one.digits}f`);
    const rows = data.starts_s.map((x, i) => ({ x: x + data.width_s, value: one.taken[i] / scale }));
    const last = rows[rows.length - 1];
    return Plot.plot({
      ...base(width, 136), marginTop: 30, x: { ...time(width), ticks: 4 }, y: { label: null, ticks: 3, tickSize: 0, grid: true, tickFormat: d3.format("~s") },
      marks: [
        faults(false),
        Plot.areaY(rows, { x: "x", y: "value", curve: "step-before", fill: color("bad"), fillOpacity: 0.16 }),
        Plot.lineY(rows, { x: "x", y: "value", curve: "step-before", stroke: color("bad"), strokeWidth: 1.6 }),
        Plot.text([last], { frameAnchor: "top-right", text: (d) => `${format(d.value)} ${one.currency.toUpperCase()}`, textAnchor: "end", dy: -20, fill: color("bad"), fontWeight: 600, fontSize: 12 }),
        hover(rows, "x", (d) => `${clock(d.x)}\n${format(d.value)} ${one.currency.toUpperCase()}`),
      ],
    });
  }

  function strikes(width) {
    const left = width < 500 ? 100 : 120;
    const bars = data.faults.flatMap((fault) => fault.strikes.map(([x1, x2]) => ({ fault: words(fault.fault), x1, x2: Math.max(x2, x1 + data.end_s / 400) })));
    const hits = data.faults.flatMap((fault) => fault.hits.map(([x, n]) => ({ fault: words(fault.fault), x: x + data.width_s / 2, n })));
    return Plot.plot({
      ...base(width, 44 + 30 * data.faults.length), marginLeft: left, marginTop: 6, x: { ...time(width), grid: true }, y: { label: null, tickSize: 0, padding: 0.35 }, r: { range: [1.5, 7] },
      marks: [
        Plot.barX(bars, { x1: "x1", x2: "x2", y: "fault", fill: color("band"), fillOpacity: 0.22 }),
        Plot.dot(hits, { x: "x", y: "fault", r: "n", fill: color("bad"), fillOpacity: 0.75, stroke: color("paper"), strokeWidth: 0.6 }),
        Plot.tip(hits, Plot.pointer({ x: "x", y: "fault", title: (d) => `${d.fault}, ${clock(d.x)}\n${count(d.n)} hit${d.n === 1 ? "" : "s"}`, fill: color("paper"), stroke: color("rule"), fontSize: 11 })),
      ],
    });
  }

  function rates(width) {
    const told = data.find_max, latency = told.unit === "ms", say = (value) => (latency ? ms(value) : `${+value.toPrecision(4)}${told.unit === "/s" ? "/s" : " %"}`);
    const steps = told.steps.map((step) => ({ ...step, value: latency ? Math.max(0.1, step.value) : step.value }));
    const values = [...steps.map((step) => step.value), told.bound], low = d3.min(values), high = d3.max(values);
    const held = steps.filter((step) => step.held), not = steps.filter((step) => !step.held);
    const ticks = d3.range(-1, 7).flatMap((power) => [1, 2, 5].map((first) => first * 10 ** power)).filter((tick) => tick >= low / 1.5 && tick <= high * 1.5);
    return Plot.plot({
      ...base(width, 300), marginBottom: 38, marginRight: 20,
      x: { label: "purchases a second that were tried →", domain: [0, d3.max(steps, (step) => step.rate) * 1.04], ticks: width < 500 ? 5 : 9, tickSize: 3 },
      y: { label: null, grid: true, tickSize: 0, tickFormat: say, ...(latency ? { type: "log", domain: [low / 1.5, high * 1.5], ticks } : { domain: [Math.min(0, low), high * 1.15 || 1], ticks: 5 }) },
      marks: [
        told.rate === null ? null : Plot.ruleX([told.rate], { stroke: color("good"), strokeOpacity: 0.5 }),
        told.rate === null ? null : Plot.text([told.rate], { x: (d) => d, frameAnchor: "top", dy: -14, text: (d) => `${d} a second`, fill: color("good"), fontWeight: 600, fontSize: 12 }),
        Plot.ruleY([told.bound], { stroke: color("ink"), strokeDasharray: "5 3" }),
        Plot.text([told.bound], { y: (d) => d, frameAnchor: "left", dx: 4, dy: -8, textAnchor: "start", text: () => told.threshold, fill: color("ink"), fontWeight: 600, stroke: color("paper"), strokeWidth: 4 }),
        Plot.dot(held, { x: "rate", y: "value", r: 5, fill: color("good"), fillOpacity: 0.75, stroke: color("paper") }),
        Plot.dot(not, { x: "rate", y: "value", r: 5, symbol: "times", stroke: color("bad"), strokeWidth: 2.4 }),
        Plot.tip(steps, Plot.pointer({ x: "rate", y: "value", title: (d) => `step ${d.step}: ${d.rate} a second\n${told.metric} ${say(d.value)}\n${d.held ? "held" : d.why}`, fill: color("paper"), stroke: color("rule"), fontSize: 11 })),
      ],
    });
  }

  const GUARANTEES = { "at-most-once": "quiet", "at-least-once": "bad", deduplicated: "warn", "exactly-once": "good" };
  const guarantees = (width) => curvesPlot(width, data.guarantees, Object.fromEntries(Object.keys(data.guarantees).map((name) => [name, GUARANTEES[name.split(",")[0]]])));

  const DRAW = { throughput, outcomes, latency, percentiles, repeats, money, strikes, guarantees, rates };
  function draw(element) {
    const width = Math.floor(element.clientWidth);
    if (!width || width === Number(element.dataset.drawn)) return;
    const svg = DRAW[element.dataset.plot](width, element);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-labelledby", element.getAttribute("aria-labelledby"));
    element.replaceChildren(svg);
    element.dataset.drawn = width;
  }
  const plots = [...document.querySelectorAll("[data-plot]")];
  const seen = new ResizeObserver((entries) => requestAnimationFrame(() => entries.forEach((entry) => draw(entry.target))));
  plots.forEach((element) => { draw(element); seen.observe(element); });

  // The reader's choice of light or dark; without one the system's.
  const root = document.documentElement, toggle = document.getElementById("theme");
  const stored = (() => { try { return localStorage.getItem("payonce-theme"); } catch { return null; } })();
  if (stored) root.dataset.theme = stored;
  toggle.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("payonce-theme", root.dataset.theme); } catch { /* a file may not be allowed to remember */ }
  });
  document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(button.dataset.copy));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "selected";
    }
  }));
  // A table that is wider than the page is scrolled with the keyboard too, and says whose it is.
  const scrollable = () => document.querySelectorAll(".wide").forEach((one) => {
    if (one.scrollWidth <= one.clientWidth) return ["tabindex", "role", "aria-label"].forEach((name) => one.removeAttribute(name));
    let title = one;
    while (title && !/^H[23]$/.test(title.tagName)) title = title.previousElementSibling || title.parentElement;
    one.tabIndex = 0;
    one.setAttribute("role", "region");
    one.setAttribute("aria-label", title ? `Table: ${title.textContent}` : "Table");
  });
  scrollable();
  addEventListener("resize", scrollable);
  addEventListener("beforeprint", () => document.querySelectorAll("details:not(.table)").forEach((one) => { one.open = true; }));
})();
