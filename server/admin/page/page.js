// SPDX-License-Identifier: MIT
// page.js: asks the server once a second and shows what it says. Every number on the page comes from
// /api; elements keep the exact value in data-value beside what they show.

import { Charts, colour, key } from "./charts.js";
import { HeapMap } from "./heapmap.js";
import * as format from "./format.js";

const TICK_MS = 1000;
const STEPS = { 60: 1, 600: 1, 3600: 6 }; // seconds of history: seconds a point
const MANY_ARENAS = 512;                   // beyond, the map is asked for less often
const ARENAS_MOST = 8192;
const CLASSES_SHOWN = 40;
const SVG = "http://www.w3.org/2000/svg";

/** Parts of resident memory, grouped for the chart: bottom first. */
const LAYERS = [
  ["live", "layer-live", ["live"]],
  ["items' overhead", "layer-overhead", ["item_header", "slot_slack", "large_slack"]],
  ["index, metadata", "layer-index", ["index", "policy", "allocator_metadata"]],
  ["free slots", "layer-free", ["slot_free"]],
  ["idle pages", "layer-idle", ["span_idle"]],
  ["clients", "layer-connections", ["connections"]],
  ["the process", "layer-process", ["libc_heap", "history", "stacks", "file", "program"]],
  ["unnamed", "layer-unnamed", ["unattributed"]],
];

const byId = (id) => document.getElementById(id);

async function ask(path, options) {
  const reply = await fetch(path, { cache: "no-store", ...options });
  const answer = await reply.json();
  if (!reply.ok) throw new Error(answer.error || `${path}: ${reply.status}`);
  return answer;
}

// ---- figures ----

function show(name, value, text) {
  const element = document.querySelector(`[data-figure="${name}"]`);
  element.textContent = text;
  element.dataset.value = value;
}

function showMemory(memory) {
  const live = memory.live_bytes, resident = memory.resident_bytes, limit = memory.limit_bytes;
  show("resident", resident, format.bytes(resident));
  show("live", live, format.bytes(live));
  show("ratio", live > 0 ? resident / live : "", live > 0 ? (resident / live).toFixed(2) : "–");
  show("limit", limit ?? "", limit === null ? "none" : format.bytes(limit));
  show("peak", memory.peaks.resident_bytes, format.bytes(memory.peaks.resident_bytes));
  show("trimmed", memory.trim.trimmed_bytes, format.bytes(memory.trim.trimmed_bytes));
  show("items", memory.items, format.count(memory.items));
  show("clients", memory.clients, format.count(memory.clients));
  showState(memory);
  showVerdict(memory.verdict);
  showParts(memory);
  const up = memory.time_seconds - memory.server.start_time_seconds;
  byId("server").textContent = `version ${memory.server.version}, up ${format.duration(up)}`;
  byId("actions").hidden = !memory.has_actions;
  document.body.dataset.time = memory.time_seconds;
}

function showRates(columns) {
  const at = columns.time_seconds.length - 1;
  if (at < 0) return;
  const last = (name) => columns[name][at];
  const hits = last("lookups") > 0 ? last("hits") / last("lookups") : null;
  show("operations", last("operations"), format.count(Math.round(last("operations"))));
  show("hits", hits ?? "", hits === null ? "–" : format.percent(hits));
  show("latency", last("latency_p99_seconds"),
       last("operations") > 0 ? format.seconds(last("latency_p99_seconds")) : "–");
  show("cpu", last("cpu_seconds"), format.percent(last("cpu_seconds")));
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function showState(memory) {
  const lag = memory.follow_lag_seconds, state = byId("state");
  const isBehind = lag > 5;
  const isFull = memory.evicted_per_second > 0;
  setText(state, isBehind ? `▲ behind live for ${format.duration(lag)}` :
    isFull ? "▲ at the limit, evicting" :
      memory.compaction.active ? "● compacting" : "● resident follows live");
  state.className = `state ${isBehind || isFull ? "warn" : "good"}`;
}

/** What was read last stays, but says of when it is. */
function showSilence(message) {
  const ms = 1000 * Number(document.body.dataset.time), state = byId("state");
  state.className = "state warn";
  setText(state, "▲ no answer");
  showVerdict([`No answer (${message}).` +
    (ms > 0 ? ` All that is shown here is of ${format.clock(ms)}.` : "")]);
}

function showVerdict(sentences) {
  const list = byId("verdict");
  sentences.forEach((sentence, i) => {
    const item = list.children[i] || list.appendChild(document.createElement("li"));
    setText(item, sentence);
  });
  while (list.children.length > sentences.length) list.lastElementChild.remove();
}

// ---- parts ----

function layerColour(part) {
  return LAYERS.find(([, , parts]) => parts.includes(part))?.[1] || "layer-unnamed";
}

function makePartRow(part) {
  const row = document.createElement("tr"), name = document.createElement("th");
  const help = document.createElement("td"), size = document.createElement("td");
  const share = document.createElement("td"), bar = document.createElementNS(SVG, "svg");
  row.dataset.part = part.part;
  name.scope = "row";
  name.append(key(colour(layerColour(part.part)), null, true), part.part.replaceAll("_", " "));
  help.className = "help";
  help.textContent = part.help;
  size.className = "n";
  share.className = "share";
  bar.setAttribute("viewBox", "0 0 100 10");
  bar.setAttribute("preserveAspectRatio", "none");
  bar.setAttribute("role", "img");
  for (const fill of ["none", colour(layerColour(part.part))]) {
    const rect = bar.appendChild(document.createElementNS(SVG, "rect"));
    rect.setAttribute("height", 10);
    rect.setAttribute("width", 100);
    rect.setAttribute("fill", fill);
  }
  share.append(bar);
  row.append(name, help, size, share);
  return row;
}

function showParts(memory) {
  const body = byId("parts").tBodies[0];
  memory.parts.forEach((part, i) => {
    const row = body.rows[i] || body.appendChild(makePartRow(part));
    const share = memory.resident_bytes > 0 ? part.bytes / memory.resident_bytes : 0;
    row.className = part.bytes === 0 ? "none" : "";
    row.dataset.value = part.bytes;
    setText(row.cells[2], format.bytes(part.bytes));
    const bar = row.cells[3].firstElementChild;
    bar.lastElementChild.setAttribute("width", 100 * share);
    bar.setAttribute("aria-label", format.percent(share));
  });
}

// ---- classes ----

function fillClassRow(row, one) {
  while (row.cells.length < 14) row.insertCell();
  const spans = one.spans_by_fullness.reduce((a, b) => a + b, 0);
  const slot = one.slot_bytes === null ? "large" : `${one.slot_bytes} B`;
  const texts = [slot, format.count(one.slots_used), format.count(one.slots_free),
                 one.slot_bytes === null ? "" : format.bytes(one.slots_used * one.slot_bytes)];
  texts.forEach((text, i) => {
    row.cells[i].className = "n";
    setText(row.cells[i], text);
  });
  row.dataset.slot = one.slot_bytes ?? "large";
  one.spans_by_fullness.forEach((number, i) => {
    const cell = row.cells[4 + i];
    const box = cell.firstElementChild || cell.appendChild(document.createElement("span"));
    cell.className = number === 0 ? "d zero" : "d";
    setText(box, number === 0 ? "·" : format.count(number));
    box.style.setProperty("--share", number === 0 ? 0 : 12 + 73 * Math.sqrt(number / spans));
  });
}

function showClasses(classes) {
  const body = byId("classes").tBodies[0];
  const weight = (one) => (one.slots_used + one.slots_free) * (one.slot_bytes ?? 1 << 17);
  const shown = [...classes].sort((a, b) => weight(b) - weight(a)).slice(0, CLASSES_SHOWN)
    .sort((a, b) => (a.slot_bytes ?? Infinity) - (b.slot_bytes ?? Infinity));
  shown.forEach((one, i) => fillClassRow(body.rows[i] || body.insertRow(), one));
  while (body.rows.length > shown.length) body.deleteRow(-1);
  const more = classes.length - shown.length;
  setText(byId("classes-more"), more > 0 ? `and ${more} smaller ones: /api/classes has them` : "");
}

// ---- charts ----

function makeCharts() {
  const charts = new Charts();
  const column = (name) => (columns, i) => columns[name][i];
  charts.add("memory", [
    { label: "live", colour: "live", value: column("live_bytes"), fill: true, width: 1 },
    { label: "resident", colour: "resident", value: column("resident_bytes"), width: 2.2 },
    { label: "limit", colour: "limit", dash: [7, 4], reach: 2.5,
      value: (columns, i) => columns.limit_bytes[i] || null },
  ], { format: format.bytes, axis: format.bytesShort, bytes: true });
  charts.add("layers", [...LAYERS].reverse().map(([label, name, parts]) => ({
    label, colour: name, fill: true,
    value: (columns, i) => parts.reduce((sum, part) => sum + columns[`part_${part}`][i], 0),
  })), { format: format.bytes, axis: format.bytesShort, stacked: true, bytes: true });
  charts.add("work", [
    { label: "moved", colour: "three", value: column("moved_bytes") },
    { label: "freed by it", colour: "one", dash: [6, 2], value: column("freed_bytes") },
    { label: "given back", colour: "two", dash: [2, 2], value: column("trimmed_bytes") },
    { label: "taken again", colour: "four", dash: [8, 3, 2, 3], value: column("refaulted_bytes") },
  ], { format: (value) => `${format.bytes(value)}/s`, axis: format.bytesShort, bytes: true });
  charts.add("operations", [
    { label: "operations", colour: "one", value: column("operations"), fill: true },
    { label: "expired", colour: "three", dash: [6, 2], value: column("expired") },
    { label: "evicted", colour: "four", dash: [2, 2], value: column("evicted") },
  ], { format: (value) => `${format.count(value)}/s`, axis: format.count });
  charts.add("latency", [
    { label: "99 %", colour: "two", value: column("latency_p99_seconds") },
    { label: "50 %", colour: "one", dash: [6, 2], value: column("latency_p50_seconds") },
  ], { format: format.seconds });
  charts.add("hits", [
    { label: "hits of lookups", colour: "one", fill: true,
      value: (columns, i) => columns.lookups[i] > 0 ? columns.hits[i] / columns.lookups[i] : null },
  ], { format: format.percent, axis: (value) => `${Math.round(value * 100)} %`, most: 1.02 });
  charts.add("clients", [
    { label: "connections", colour: "one", value: column("clients"), fill: true },
  ], { format: format.count });
  charts.add("network", [
    { label: "received", colour: "three", value: column("received_bytes") },
    { label: "sent", colour: "one", dash: [6, 2], value: column("sent_bytes") },
  ], { format: (value) => `${format.bytes(value)}/s`, axis: format.bytesShort, bytes: true });
  return charts;
}

// ---- asking ----

async function askMap() {
  let arenas = [], first = 0;
  while (first !== null && arenas.length < ARENAS_MOST) {
    const part = await ask(`/api/heapmap?first=${first}`);
    arenas = arenas.concat(part.arenas);
    first = part.next;
  }
  return arenas;
}

class Page {
  constructor() {
    this.charts = makeCharts();
    this.map = new HeapMap(byId("map"), byId("map-cell"), byId("map-legend"));
    this.turn = 0;
    for (const input of document.querySelectorAll("input[name=range]"))
      input.addEventListener("change", () => this.restart());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      byId("parts").tBodies[0].replaceChildren(); // made anew in the colours of now
    });
    document.addEventListener("visibilitychange", () => this.restart());
    byId("actions").addEventListener("submit", (event) => this.act(event));
    this.restart();
  }

  /** Loads the whole stretch; a page that nobody sees asks nothing. */
  restart() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    const seconds = Number(document.querySelector("input[name=range]:checked").value);
    this.charts.begin(seconds, STEPS[seconds]);
    this.isWhole = false;
    this.generation = (this.generation || 0) + 1;
    this.tick(this.generation);
  }

  async tick(generation) {
    const begin = performance.now();
    try {
      await this.refresh();
      document.body.dataset.ticks = this.turn;
    } catch (error) {
      showSilence(error.message);
    }
    if (generation !== this.generation || document.hidden) return;
    this.timer = setTimeout(() => this.tick(generation),
                            Math.max(100, TICK_MS - (performance.now() - begin)));
  }

  async refresh() {
    const { seconds, step } = this.charts;
    const isMapDue = this.map.arenas.length <= MANY_ARENAS || this.turn % 5 === 0;
    const wanted = this.isWhole ? step * 4 : seconds;
    const [memory, history, classes, arenas] = await Promise.all([
      ask("/api/memory"), ask(`/api/history?seconds=${wanted}&step=${step}`), ask("/api/classes"),
      isMapDue ? askMap() : null,
    ]);
    if (seconds !== this.charts.seconds) return; // another stretch was chosen meanwhile
    this.charts.add_columns(history.columns);
    this.isWhole = true;
    showMemory(memory);
    showRates(history.columns);
    showClasses(classes.classes);
    if (arenas) this.map.show(arenas);
    this.turn++;
  }

  async act(event) {
    event.preventDefault();
    const action = event.submitter ? event.submitter.value : "compact";
    const state = byId("actions-state");
    try {
      await ask(`/api/${action}`, { method: "POST",
                                    headers: { Authorization: `Bearer ${byId("token").value}` } });
      state.textContent = `${action}: started`;
    } catch (error) {
      state.textContent = `${action}: ${error.message}`;
    }
  }
}

new Page();
