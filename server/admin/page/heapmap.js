// SPDX-License-Identifier: MIT
// heapmap.js: arenas as tiles, pages as cells. What a page is comes from /api/heapmap as two letters:
// how full its span is, and the size of its slots.

import { colour, key } from "./charts.js";
import { bytes, count } from "./format.js";

const TILE_COLUMNS = 32, TILE_ROWS = 16, PAGES = TILE_COLUMNS * TILE_ROWS;
const GAP = 5, CELL_MOST = 7, HEIGHT_MOST = 560;
const KINDS = { ".": "untouched", "-": "trimmed: given back to the system",
                "_": "idle: free and resident", "+": "new: in a span, not yet written" };

/** From small slots (blue) over teal and green to large ones (red); large values are violet. */
const HUES = [245, 232, 219, 206, 190, 175, 158, 130, 85, 52, 36, 20, 5];

function hue(letter) {
  return letter === "z" ? 285 : HUES[Math.min(HUES.length - 1, letter.charCodeAt(0) - 97)];
}

function slotText(letter) {
  if (letter === "z") return "one large value";
  const low = letter === "a" ? 0 : 8 << (letter.charCodeAt(0) - 97);
  return letter === "a" ? "slots below 16 B" : `slots of ${bytes(low)} to ${bytes(low * 2 - 4)}`;
}

export class HeapMap {
  constructor(canvas, cellText, legend) {
    this.canvas = canvas;
    this.cellText = cellText;
    this.legend = legend;
    this.arenas = [];
    this.cursor = null; // {arena (its place in the list), page}
    this.palette = new Map();
    canvas.addEventListener("mousemove", (event) => this.point(event));
    canvas.addEventListener("mouseleave", () => this.tell(null));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    canvas.addEventListener("blur", () => this.tell(null));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement);
    this.makeLegend();
  }

  recolour() {
    this.palette.clear();
    this.legend.replaceChildren();
    this.makeLegend();
    this.draw();
  }

  /** The colour of a page, as [r, g, b]. */
  rgb(kind, letter) {
    const name = kind + letter;
    if (!this.palette.has(name)) {
      const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      probe.fillStyle = this.css(kind, letter);
      probe.fillRect(0, 0, 1, 1);
      this.palette.set(name, [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)]);
    }
    return this.palette.get(name);
  }

  css(kind, letter) {
    const plain = { ".": "map-back", "-": "map-trimmed", "_": "map-idle", "+": "map-fresh" }[kind];
    if (plain) return colour(plain);
    const full = parseFloat(colour("map-full")), sparse = parseFloat(colour("map-sparse"));
    const share = Math.max(0, Number(kind) - 1) / 8;
    return `hsl(${hue(letter)} ${25 + 35 * share}% ${sparse + (full - sparse) * share}%)`;
  }

  makeLegend() {
    const entry = (keys, text) => {
      const item = document.createElement("li"), ramp = document.createElement("span");
      ramp.className = "ramp";
      ramp.append(...keys);
      item.append(ramp, text);
      this.legend.append(item);
    };
    const swatch = (kind, letter) => key(this.css(kind, letter), null, true);
    entry(["1", "3", "5", "7", "9"].map((kind) => swatch(kind, "e")), "sparse to full");
    entry(["c", "e", "g", "i", "k", "m"].map((letter) => swatch("8", letter)), "slots of 32 B to 64 KiB");
    entry([swatch("9", "z")], "large values");
    entry([swatch("_", " ")], "idle");
    entry([swatch("-", " ")], "trimmed");
    entry([swatch("+", " ")], "new");
    this.summary = document.createElement("li");
    this.summary.className = "when";
    this.legend.append(this.summary);
  }

  /** Cells as large as fit; with very many arenas a cell stands for 2 x 2 or 4 x 4 pages. */
  layout(width) {
    for (const pack of [1, 2, 4]) {
      for (let cell = CELL_MOST; cell >= (pack === 4 ? 1 : 2); cell--) {
        const tileWidth = (TILE_COLUMNS / pack) * cell, tileHeight = (TILE_ROWS / pack) * cell;
        const perRow = Math.floor((width + GAP) / (tileWidth + GAP));
        const rows = Math.ceil(this.arenas.length / Math.max(1, perRow));
        const height = rows * (tileHeight + GAP) - GAP;
        if (perRow > 0 && (height <= HEIGHT_MOST || (pack === 4 && cell === 1)))
          return { pack, cell, tileWidth, tileHeight, perRow, height };
      }
    }
    return null;
  }

  show(arenas) {
    this.arenas = arenas;
    let resident = 0, sparse = 0, idle = 0;
    for (const arena of arenas) {
      resident += arena.resident_pages;
      for (const kind of arena.pages) {
        sparse += kind >= "0" && kind <= "4";
        idle += kind === "_";
      }
    }
    this.summary.textContent = `${count(arenas.length)} arenas, ${bytes(resident * 4096)} resident`;
    this.canvas.dataset.arenas = arenas.length;
    this.canvas.dataset.residentPages = resident;
    this.canvas.dataset.sparsePages = sparse;
    this.canvas.setAttribute("aria-label",
      `Heap map: ${arenas.length} arenas, ${count(resident)} resident pages, ${count(sparse)} of them in ` +
      `spans less than half full, ${count(idle)} idle. Arrow keys look at single pages.`);
    this.draw();
  }

  draw() {
    const width = Math.floor(this.canvas.parentElement.clientWidth) -
                  2 * parseFloat(getComputedStyle(this.canvas.parentElement).paddingLeft);
    if (width <= 0) return;
    const at = this.layout(width);
    if (!at) return;
    this.at = at;
    this.canvas.width = width;
    this.canvas.height = Math.max(24, at.height);
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(this.canvas.width, this.canvas.height);
    this.arenas.forEach((arena, i) => this.drawArena(image, arena, i));
    context.putImageData(image, 0, 0);
    this.drawCursor(context);
  }

  corner(place) {
    const { tileWidth, tileHeight, perRow } = this.at;
    return [(place % perRow) * (tileWidth + GAP), Math.floor(place / perRow) * (tileHeight + GAP)];
  }

  drawArena(image, arena, place) {
    const { pack, cell } = this.at, [left, top] = this.corner(place);
    for (let row = 0; row < TILE_ROWS / pack; row++)
      for (let column = 0; column < TILE_COLUMNS / pack; column++)
        this.fill(image, left + column * cell, top + row * cell, this.mean(arena, row, column));
  }

  mean(arena, row, column) {
    const { pack } = this.at, sum = [0, 0, 0];
    for (let r = 0; r < pack; r++)
      for (let c = 0; c < pack; c++) {
        const page = (row * pack + r) * TILE_COLUMNS + column * pack + c;
        this.rgb(arena.pages[page], arena.classes[page]).forEach((part, i) => { sum[i] += part; });
      }
    return sum.map((part) => part / (pack * pack));
  }

  fill(image, left, top, rgb) {
    const { cell } = this.at, inner = cell >= 4 ? cell - 1 : cell;
    for (let y = top; y < top + inner; y++)
      for (let x = left; x < left + inner; x++) {
        const i = (y * image.width + x) * 4;
        image.data[i] = rgb[0];
        image.data[i + 1] = rgb[1];
        image.data[i + 2] = rgb[2];
        image.data[i + 3] = 255;
      }
  }

  // ---- one page ----

  drawCursor(context) {
    if (!this.cursor || this.cursor.arena >= this.arenas.length) return;
    const { pack, cell } = this.at, [left, top] = this.corner(this.cursor.arena);
    const column = Math.floor((this.cursor.page % TILE_COLUMNS) / pack);
    const row = Math.floor(this.cursor.page / TILE_COLUMNS / pack);
    context.strokeStyle = colour("ink");
    context.lineWidth = 2;
    context.strokeRect(left + column * cell - 1, top + row * cell - 1, cell + 1, cell + 1);
  }

  tell(cursor) {
    this.cursor = cursor;
    this.cellText.textContent = cursor ? this.words(cursor) : "\u00a0";
    this.draw();
  }

  words({ arena: place, page }) {
    const arena = this.arenas[place], kind = arena.pages[page];
    const what = KINDS[kind] || `${slotText(arena.classes[page])}, ${kind === "9" ? "full" :
      `about ${Math.round(Number(kind) / 9 * 100)} % full`}`;
    return `arena ${arena.arena}, page ${page}: ${what}`;
  }

  point(event) {
    if (!this.at) return;
    const box = this.canvas.getBoundingClientRect(), { tileWidth, tileHeight, perRow, cell, pack } = this.at;
    const x = (event.clientX - box.left) * this.canvas.width / box.width;
    const y = (event.clientY - box.top) * this.canvas.height / box.height;
    const tileX = Math.floor(x / (tileWidth + GAP)), tileY = Math.floor(y / (tileHeight + GAP));
    const arena = tileY * perRow + tileX;
    const column = Math.floor((x - tileX * (tileWidth + GAP)) / cell) * pack;
    const row = Math.floor((y - tileY * (tileHeight + GAP)) / cell) * pack;
    const isIn = tileX < perRow && arena < this.arenas.length && column < TILE_COLUMNS && row < TILE_ROWS;
    this.tell(isIn ? { arena, page: row * TILE_COLUMNS + column } : null);
  }

  onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -TILE_COLUMNS, ArrowDown: TILE_COLUMNS,
                   PageUp: -PAGES, PageDown: PAGES }[event.key];
    if (event.key === "Escape") this.tell(null);
    if (step === undefined || this.arenas.length === 0) return;
    event.preventDefault();
    const from = this.cursor ? this.cursor.arena * PAGES + this.cursor.page : -step;
    const to = Math.max(0, Math.min(this.arenas.length * PAGES - 1, from + step));
    this.tell({ arena: Math.floor(to / PAGES), page: to % PAGES });
  }
}
