// SPDX-License-Identifier: MIT
// format.js: numbers for people. Pure.

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** 1536 -> "1.5 KiB". */
export function bytes(value) {
  let unit = 0;
  while (Math.abs(value) >= 1023.95 && unit + 1 < BYTE_UNITS.length) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** For axes: "64M", "1.5G". */
export function bytesShort(value) {
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit + 1 < BYTE_UNITS.length) {
    value /= 1024;
    unit++;
  }
  return `${+value.toPrecision(3)}${unit === 0 ? "" : BYTE_UNITS[unit][0]}`;
}

/** 1234567 -> "1.23M"; small numbers whole. */
export function count(value) {
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]])
    if (Math.abs(value) >= size) return `${+(value / (unit === "k" ? 1e3 : size)).toPrecision(3)}${unit}`;
  return `${Math.abs(value) >= 100 || Number.isInteger(value) ? Math.round(value) : +value.toPrecision(2)}`;
}

/** 0.00012 -> "120 µs". */
export function seconds(value) {
  if (value === 0) return "0";
  if (value < 1e-3) return `${+(value * 1e6).toPrecision(3)} µs`;
  if (value < 1) return `${+(value * 1e3).toPrecision(3)} ms`;
  return `${+value.toPrecision(3)} s`;
}

export function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}

export function duration(value) {
  const days = Math.floor(value / 86400), hours = Math.floor(value / 3600) % 24;
  const minutes = Math.floor(value / 60) % 60;
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.floor(value)} s`;
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour12: false });
}
