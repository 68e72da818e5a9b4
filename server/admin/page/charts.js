// SPDX-License-Identifier: MIT
// charts.js: time charts, drawn by dygraphs. A chart is a list of series over the columns of
// /api/history; all charts share one time axis and one marked moment.

import { clock } from "./format.js";

/* global Dygraph */

const SVG = "http://www.w3.org/2000/svg";
// Its own legend writes style attributes, which the page's policy forbids; ours is a list.
Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A piece of a line, or a square for filled series: what a legend shows. */
export function key(stroke, dash, isFilled) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", isFilled ? "0 0 10 10" : "0 0 24 10");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, isFilled ? "rect" : "line");
  const at = isFilled ? { width: 10, height: 10, rx: 2 } : { x1: 0, x2: 24, y1: 5, y2: 5 };
  for (const [name, value] of Object.entries(at)) shape.setAttribute(name, value);
  shape.setAttribute(isFilled ? "fill" : "stroke", stroke);
  if (!isFilled) shape.setAttribute("stroke-width", "3");
  if (dash) shape.setAttribute("stroke-dasharray", dash.join(" "));
  svg.append(shape);
  return svg;
}

/** The label in the corner would lie on that of the other axis. */
function timeLabel(date, granularity, options, graph) {
  const [from, to] = graph.xAxisRange();
  return date - from < (to - from) * 0.04 ? "" :
    Dygraph.dateAxisLabelFormatter(date, granularity, options, graph);
}

class Chart {
  /**
   * id: of the chart's element, `${id}-chart`, and of its legend. series: in drawing order, each
   * {label, colour, value(columns, i), dash, fill}. options: {format, axis, stacked, most, bytes}.
   */
  constructor(group, id, series, options) {
    this.group = group;
    this.series = series;
    this.options = options;
    this.element = document.getElementById(`${id}-chart`);
    this.legend = document.getElementById(`${id}-legend`);
    this.title = document.getElementById(`${id}-title`).textContent;
    this.rows = [];
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "img");
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("blur", () => this.group.mark(null));
    this.makeLegend();
  }

  makeLegend() {
    this.values = this.series.map((one) => {
      const item = document.createElement("li"), value = document.createElement("b");
      item.append(key(colour(one.colour), one.dash, this.options.stacked), `${one.label} `, value);
      if (this.options.stacked) this.legend.prepend(item); // the lowest layer first
      else this.legend.append(item);
      return value;
    });
    this.when = document.createElement("li");
    this.when.className = "when";
    this.legend.append(this.when);
  }

  style() {
    const colours = this.series.map((one) => colour(one.colour));
    const each = {};
    for (const one of this.series)
      each[one.label] = { strokePattern: one.dash || null, fillGraph: Boolean(one.fill),
                          strokeWidth: this.options.stacked ? 0.5 : one.width || 1.6 };
    return { colors: colours, series: each, gridLineColor: colour("line"),
             axisLineColor: colour("line") };
  }

  draw(window) {
    const data = this.rows.length > 0 ? this.shown : [[new Date(window[1])].concat(this.series.map(() => 0))];
    const range = [0, this.options.most || null];
    const update = { file: data, dateWindow: window, valueRange: this.options.most ? range : null,
                     ...this.style() };
    if (this.graph) {
      this.graph.updateOptions(update);
      return;
    }
    this.graph = new Dygraph(this.element, data, {
      ...update,
      labels: ["time", ...this.series.map((one) => one.label)],
      stackedGraph: Boolean(this.options.stacked),
      fillAlpha: this.options.stacked ? 0.85 : 0.22,
      includeZero: true,
      connectSeparatedPoints: false,
      labelsKMG2: Boolean(this.options.bytes),
      axisLabelFontSize: 11,
      axisLabelWidth: 44,
      rightGap: 6,
      highlightCircleSize: 3,
      interactionModel: { mousemove: (event, graph) => graph.mouseMove_ && graph.mouseMove_(event) },
      highlightCallback: (event, x) => this.group.mark(x, this),
      unhighlightCallback: () => this.group.mark(null, this),
      axes: {
        x: { drawGrid: false, pixelsPerLabel: 80, axisLabelWidth: 64, axisLabelFormatter: timeLabel },
        y: { axisLabelFormatter: (value) => (this.options.axis || this.options.format)(value),
             pixelsPerLabel: 32 },
      },
    });
  }

  /** Takes the values out of the columns. */
  load(columns) {
    const times = columns.time_seconds;
    this.rows = times.map((time, i) => [new Date(time * 1000),
                                        ...this.series.map((one) => one.value(columns, i))]);
    this.shown = this.rows;
    this.series.forEach((one, s) => {
      if (one.reach) this.hideFar(s + 1, one.reach);
    });
  }

  /** A line far above all others would press them flat: it is told in the legend alone. */
  hideFar(column, reach) {
    const most = Math.max(...this.rows.map((row) => Math.max(...row.slice(1, column))));
    this.shown = this.shown.map((row) => row[column] <= most * reach ? row :
      [...row.slice(0, column), null, ...row.slice(column + 1)]);
  }

  /** Shows the values of a row; the last when nothing is marked. */
  show(row, isMarked) {
    const shown = this.rows[row];
    this.when.textContent = shown && isMarked ? clock(shown[0].getTime()) : "";
    this.series.forEach((one, i) => {
      const value = shown ? shown[i + 1] : null;
      this.values[i].textContent = value === null ? "–" : this.options.format(value);
      this.values[i].dataset.value = value === null ? "" : value;
    });
    if (!isMarked) {
      const words = this.series.map((one, i) => `${one.label} ${this.values[i].textContent}`);
      this.element.setAttribute("aria-label", `${this.title}, now: ${words.join(", ")}`);
    }
  }

  onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -60, PageDown: 60 }[event.key];
    if (event.key === "Escape") this.group.mark(null);
    if (step === undefined || this.rows.length === 0) return;
    event.preventDefault();
    const from = this.group.marked === null ? this.rows.length : this.group.rowOf(this.group.marked);
    const row = Math.max(0, Math.min(this.rows.length - 1, from + step));
    this.group.mark(this.rows[row][0].getTime());
  }
}

/** All charts of the page, over one stretch of history. */
export class Charts {
  constructor() {
    this.charts = [];
    this.columns = { time_seconds: [] };
    this.marked = null; // unix ms
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
  }

  add(id, series, options) {
    this.charts.push(new Chart(this, id, series, options));
  }

  recolour() {
    for (const chart of this.charts) {
      chart.legend.replaceChildren();
      chart.makeLegend();
    }
    this.draw();
  }

  /** Begins anew, with `seconds` of history at a point for each `step` seconds. */
  begin(seconds, step) {
    this.seconds = seconds;
    this.step = step;
    this.columns = { time_seconds: [] };
  }

  /** Adds what is newer than what is there, and drops what is older than the stretch. */
  add_columns(columns) {
    const have = this.columns.time_seconds, last = have.length > 0 ? have[have.length - 1] : 0;
    const times = columns.time_seconds;
    const from = times.findIndex((time) => time >= last + Math.max(1, this.step * 0.75));
    if (from < 0) return;
    const end = times[times.length - 1];
    const keep = have.findIndex((time) => time > end - this.seconds);
    for (const name of Object.keys(columns)) {
      const old = this.columns[name] || [];
      this.columns[name] = (keep < 0 ? [] : old.slice(keep)).concat(columns[name].slice(from));
    }
    for (const chart of this.charts) chart.load(this.columns);
    this.draw();
  }

  draw() {
    const times = this.columns.time_seconds;
    const end = times.length > 0 ? times[times.length - 1] * 1000 : Date.now();
    // A server that has just started fills the width with what there is, a minute at least.
    const there = times.length > 0 ? Math.max(60, times[times.length - 1] - times[0]) : 60;
    const begin = end - Math.min(this.seconds, there) * 1000;
    for (const chart of this.charts) chart.draw([begin, end]);
    this.showAll();
  }

  rowOf(ms) {
    const times = this.columns.time_seconds;
    let best = times.length - 1;
    for (let i = 0; i < times.length; i++)
      if (Math.abs(times[i] * 1000 - ms) < Math.abs(times[best] * 1000 - ms)) best = i;
    return best;
  }

  showAll() {
    const row = this.marked === null ? this.columns.time_seconds.length - 1 : this.rowOf(this.marked);
    for (const chart of this.charts) chart.show(row, this.marked !== null);
  }

  /** Marks a moment in every chart, null in none; `source` has done so itself. */
  mark(ms, source) {
    if (this.isMarking) return;
    this.isMarking = true;
    this.marked = ms;
    const row = ms === null ? -1 : this.rowOf(ms);
    for (const chart of this.charts) {
      if (chart === source || !chart.graph) continue;
      if (row < 0) chart.graph.clearSelection();
      else chart.graph.setSelection(row);
    }
    this.showAll();
    this.isMarking = false;
  }
}
