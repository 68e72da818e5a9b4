// SPDX-License-Identifier: MIT
// report.js: draws the runs that the page carries. Every text of theirs becomes a text node, nothing else;
// elements keep the exact number in data-value beside what they show.

import { bytes, bytesShort, seconds } from "format.js";

/* global Dygraph */

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 8;
const DASHES = [null, [9, 4], [2, 3], [12, 3, 2, 3], [5, 2], [16, 5], [2, 6], [9, 3, 2, 3, 2, 3]];
const VERDICTS = [
  ["resident_bytes", "resident", bytes],
  ["resident_over_live", "resident / live", (v) => v.toFixed(2)],
  ["peak_over_live", "peak / live", (v) => v.toFixed(2)],
  ["follow_seconds", "time to follow", seconds],
  ["cpu_seconds", "CPU", seconds],
  ["stall_p999_seconds", "stall, p99.9", seconds],
  ["stall_max_seconds", "stall, longest", seconds],
  ["faults_per_mib", "faults per MiB", (v) => String(+v.toPrecision(3))],
  ["wrong", "wrong", String],
  ["missing", "missing", String],
  ["live_off", "server's own count off", (v) => `${(v * 100).toFixed(2)} %`, true],
];
const CHARTS = [
  ["Resident follows live", "resident_bytes", bytes, bytesShort],
  ["Charged to the cgroup", "charged_bytes", bytes, bytesShort],
  ["Longest wait of a request", "stall_seconds", seconds, seconds],
  ["CPU time so far", "cpu_seconds", seconds, seconds],
];
// Its own legend writes style attributes, which the page's policy forbids; ours is a list.
Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const runColour = (i) => colour(`run${i % COLOURS}`);
const runDash = (i) => DASHES[(i + Math.floor(i / COLOURS)) % DASHES.length];
const isKnown = (value) => typeof value === "number";

function element(name, text, parent, className) {
  const made = document.createElement(name);
  if (text !== null) made.textContent = text;
  if (className) made.className = className;
  parent.append(made);
  return made;
}

function key(i) {
  const svg = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "line");
  svg.setAttribute("viewBox", "0 0 40 10");
  svg.setAttribute("aria-hidden", "true");
  const at = { x1: 0, x2: 40, y1: 5, y2: 5, "stroke-width": 3, stroke: runColour(i) };
  for (const [name, value] of Object.entries(at)) line.setAttribute(name, value);
  if (runDash(i)) line.setAttribute("stroke-dasharray", runDash(i).join(" "));
  svg.append(line);
  return svg;
}

/** Lowest and highest of each pixel column between from and to, in their order: two places a column. */
function thin(times, values, from, to, pixels) {
  const thinned = new Array(2 * pixels).fill(null), low = new Array(pixels), high = new Array(pixels);
  times.forEach((time, i) => {
    if (time < from || time > to || values[i] === null) return;
    const at = Math.min(pixels - 1, Math.floor((time - from) / (to - from) * pixels));
    if (low[at] === undefined || values[i] < values[low[at]]) low[at] = i;
    if (high[at] === undefined || values[i] > values[high[at]]) high[at] = i;
  });
  low.forEach((i, at) => {
    thinned[2 * at] = values[Math.min(i, high[at])];
    thinned[2 * at + 1] = values[Math.max(i, high[at])];
  });
  return thinned;
}

class Chart {
  constructor(scenario, card, [title, column, format, axis]) {
    Object.assign(this, { scenario, title, column, format, axis });
    element("h3", title, card);
    this.legend = element("ul", null, card, "legend");
    this.element = element("div", null, card, "chart");
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "img");
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.draw();
    this.mark(null);
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  columns() {
    return this.column === "resident_bytes" ? ["resident_bytes", "live_bytes"] : [this.column];
  }

  draw() {
    const { runs, end } = this.scenario, pixels = Math.max(50, Math.floor(this.element.clientWidth) - 60);
    const labels = ["time"], series = {}, colors = [], curves = [];
    runs.forEach((run, i) => {
      for (const column of this.columns()) {
        const isLive = column === "live_bytes", label = `${i} ${column}`;
        labels.push(label);
        colors.push(runColour(i));
        series[label] = { strokeWidth: isLive ? 1 : 2, strokePattern: isLive ? null : runDash(i), fillGraph: isLive };
        curves.push(thin(run.samples.seconds, run.samples[column], 0, end, pixels));
      }
    });
    const rows = Array.from({ length: 2 * pixels }, (_, at) =>
      [(at + 0.5) / (2 * pixels) * end, ...curves.map((curve) => curve[at])]);
    const options = { file: rows, labels, series, colors, gridLineColor: colour("line"), axisLineColor: colour("line") };
    if (this.graph) {
      this.graph.updateOptions(options);
      this.graph.resize();
      return;
    }
    this.graph = new Dygraph(this.element, rows, {
      ...options, connectSeparatedPoints: true, includeZero: true, fillAlpha: 0.1, axisLabelFontSize: 11,
      axisLabelWidth: 50, rightGap: 6, highlightCircleSize: 3, interactionModel: {},
      underlayCallback: (canvas, area, graph) => this.drawBands(canvas, area, graph),
      highlightCallback: (event, x) => this.scenario.mark(x), unhighlightCallback: () => this.scenario.mark(null),
      axes: { x: { drawGrid: false, axisLabelFormatter: (value) => `${+value.toPrecision(4)} s` },
              y: { axisLabelFormatter: (value) => this.axis(value), pixelsPerLabel: 32,
                   labelsKMG2: this.column.endsWith("_bytes") } },
    });
  }

  /** The phases of the first run: those of others begin when they have done the same work. */
  drawBands(canvas, area, graph) {
    canvas.font = "11px sans-serif";
    this.scenario.runs[0].run.phases.forEach((phase, i) => {
      const left = graph.toDomXCoord(phase.start_seconds), width = graph.toDomXCoord(phase.end_seconds) - left;
      canvas.fillStyle = colour("band");
      if (i % 2 === 0) canvas.fillRect(left, area.y, width, area.h);
      canvas.fillStyle = colour("soft");
      if (canvas.measureText(phase.name).width + 6 < width) canvas.fillText(phase.name, left + 3, area.y + 11);
    });
  }

  /** Shows the sample of each run that is nearest to a moment; null: its last. */
  mark(moment) {
    this.legend.replaceChildren();
    const words = [];
    this.scenario.runs.forEach((run, i) => {
      const times = run.samples.seconds, item = element("li", null, this.legend);
      let at = times.length - 1;
      if (moment !== null)
        times.forEach((time, n) => { if (Math.abs(time - moment) < Math.abs(times[at] - moment)) at = n; });
      item.append(key(i), `${run.texts.title} `);
      for (const column of this.columns()) {
        const value = times.length > 0 ? run.samples[column][at] : null;
        const shown = element("b", isKnown(value) ? this.format(value) : "–", item);
        shown.dataset.value = isKnown(value) ? value : "";
        shown.dataset.column = column;
        if (column === "resident_bytes") item.append(" / live ");
        words.push(`${run.texts.title} ${column} ${shown.textContent}`);
      }
    });
    if (moment !== null) element("li", seconds(moment), this.legend);
    this.element.setAttribute("aria-label", `${this.title}: ${words.join(", ")}`);
  }

  onKey(event) {
    const step = { ArrowLeft: -0.01, ArrowRight: 0.01, PageUp: -0.1, PageDown: 0.1 }[event.key];
    if (event.key === "Escape") this.scenario.mark(null);
    if (step === undefined) return;
    event.preventDefault();
    const { end, marked } = this.scenario, from = marked === null ? end : marked;
    this.scenario.mark(Math.max(0, Math.min(end, from + step * end)));
  }
}

function addVerdicts(runs, card) {
  const region = element("div", null, card, "scroll");
  region.tabIndex = 0;
  region.setAttribute("role", "region");
  region.setAttribute("aria-label", "Verdicts by phase");
  const table = element("table", null, region, "verdicts"), head = element("tr", null, element("thead", null, table));
  const body = element("tbody", null, table);
  element("th", "phase", head);
  element("th", "", head);
  runs.forEach((run) => element("th", run.texts.title, head));
  const count = Math.max(...runs.map((run) => run.run.phases.length));
  for (let p = 0; p < count; p++) VERDICTS.forEach(([name, title, format, isNoMerit], v) => {
    const values = runs.map((run) => run.run.phases[p]?.[name]), known = values.filter(isKnown);
    const best = Math.min(...known), isContest = !isNoMerit && known.length > 1 && Math.max(...known) > best;
    const row = element("tr", null, body, v === 0 ? "phase" : "");
    element("th", v === 0 ? runs.find((run) => run.run.phases[p]).run.phases[p].name : "", row);
    element("th", title, row);
    values.forEach((value, i) => {
      const isBest = isContest && value === best, isBad = (name === "wrong" || name === "missing") && value > 0;
      const cell = element("td", isKnown(value) ? format(value) : "–", row, isBad ? "bad" : isBest ? "best" : "");
      if (isBest) cell.append(" ★");
      if (isBad) cell.append(" ✗");
      Object.assign(cell.dataset, { phase: p, name, run: i, value: isKnown(value) ? value : "" });
    });
  });
  element("p", "★ marks the best of a row, ✗ bytes that were wrong or missing, – what could not be measured.", card, "note");
}

function addFacts(runs, card) {
  const region = element("div", null, card, "scroll"), table = element("table", null, region, "facts"), of = (run, o, n) => run.run[o]?.[n];
  region.tabIndex = 0;
  region.setAttribute("role", "region");
  region.setAttribute("aria-label", "Facts of the runs");
  const facts = [
    ["run", (r) => r.texts.title], ["server", (r) => of(r, "server", "name")], ["version", (r) => of(r, "server", "version")],
    ["protocol", (r) => of(r, "server", "protocol")], ["address", (r) => of(r, "server", "address")],
    ["memory read from", (r) => of(r, "server", "memory_source")], ["command", (r) => of(r, "server", "command")],
    ["kernel", (r) => of(r, "machine", "kernel")], ["processors", (r) => of(r, "machine", "cpus")],
    ["started", (r) => r.run.started], ["seed", (r) => r.run.seed], ["connections", (r) => r.run.connections],
    ["depth", (r) => r.run.depth], ["completed", (r) => r.run.completed === false ? `✗ no: ${r.run.error ?? ""}` : "yes"],
    ["tide", (r) => r.run.tide_version], ["file", (r) => r.texts.file],
  ];
  for (const [title, find] of facts) {
    const row = element("tr", null, table);
    element("th", title, row).scope = "row";
    runs.forEach((run) => element("td", String(find(run) ?? "–"), row));
  }
}

class Scenario {
  constructor(name, runs, parent) {
    const section = element("section", null, parent), scenario = runs[0].run.scenario;
    this.runs = runs;
    this.marked = null;
    this.charts = [];
    this.end = Math.max(0.001, ...runs.map((run) => Math.max(run.samples.seconds.at(-1) ?? 0,
                                                               run.run.phases.at(-1)?.end_seconds ?? 0)));
    element("h2", name, section);
    element("p", scenario.title ?? "", section, "note");
    const cards = element("div", null, section, "cards");
    for (const chart of CHARTS) {
      const isAny = runs.some((run) => run.samples[chart[1]].some(isKnown));
      if (isAny) this.charts.push(new Chart(this, element("div", null, cards, this.charts.length ? "card" : "card wide"), chart));
    }
    const verdicts = element("div", null, cards, "card wide"), facts = element("div", null, cards, "card wide");
    element("h3", "Verdicts", verdicts);
    addVerdicts(runs, verdicts);
    element("h3", "The runs", facts);
    addFacts(runs, facts);
    if (!scenario.text) return;
    const details = element("details", null, facts);
    element("summary", "The scenario's text", details);
    element("pre", scenario.text, details);
  }

  mark(moment) {
    this.marked = moment;
    for (const chart of this.charts) chart.mark(moment);
  }

  redraw() {
    for (const chart of this.charts) chart.draw();
    this.mark(this.marked);
  }
}

const runs = JSON.parse(document.getElementById("runs").textContent), groups = new Map();
/** Two runs of one server have one name: then their files tell them apart. */
function tellApart(of) {
  const titles = of.map((run) => run.texts.title);
  of.forEach((run, i) => {
    if (titles.filter((title) => title === titles[i]).length > 1)
      run.texts.title += ` (${run.texts.file.split("/").at(-1)})`;
  });
}

for (const run of runs) {
  const name = run.texts.scenario;
  groups.set(name, [...(groups.get(name) ?? []), run]);
}
groups.forEach(tellApart);
document.getElementById("summary").textContent =
  `${runs.length} ${runs.length === 1 ? "run" : "runs"} of ${[...groups.keys()].join("; ")}`;
const scenarios = [...groups].map(([name, of]) => new Scenario(name, of, document.getElementById("scenarios")));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => scenarios.forEach((one) => one.redraw()));
document.body.dataset.isReady = "yes";
