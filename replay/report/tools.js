"use strict";
/* Small tools: elements, numbers, words. No library, no network: all data is in #data. */

const MINUS = "\u2212";
const DAY_MS = 86400000;
const byId = (id) => document.getElementById(id);
const SVG = byId("svg").namespaceURI;

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, part] of Object.entries(value)) node.style.setProperty(`--${key}`, String(part));
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element; text goes in as text, so nothing in the data can become markup. */
const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);
const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

/** Text from the log, kept from turning its neighbours around. */
const words = (text, props) => h("bdi", props, text);

const absent = (value) => value === null || value === undefined || Number.isNaN(value);

function fixed(value, digits) {
  return absent(value) ? "–" : value.toFixed(digits).replace("-", MINUS);
}

function signed(value, digits) {
  if (absent(value)) return "–";
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value > 0 ? "+" : MINUS) + text;
}

const whole = (value) => Number(value).toLocaleString("en-US");
const plural = (n, one, many) => `${whole(n)} ${n === 1 ? one : many || one + "s"}`;
const searchesOf = (n) => plural(n, "search", "searches");
const percent = (part, all) => (all ? `${part === all ? 100 : Math.min(99.9, (100 * part) / all).toFixed(1)} %` : "–");
const pValue = (p) => (p === null ? "no p" : p < 0.0001 ? "p < 0.0001" : `p = ${p.toFixed(p < 0.001 ? 4 : 3)}`);
const digitsOf = (unit) => (unit === "days" ? 2 : unit === "%" ? 1 : 3);
const nameOf = (measure) => measure.replaceAll("_", " ");
const unitOf = (unit) => (unit === "days" ? " d" : unit ? ` ${unit}` : "");
const dayText = (ms) => `${Math.round((ms / DAY_MS) * 10) / 10}`.replace("-", MINUS) + " d";
const shiftText = (ms) => (ms ? (ms > 0 ? "+" : "") + dayText(ms) : "as logged");

function timeText(ms) {
  const text = new Date(ms).toLocaleString("en-GB", {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC",
  });
  return `${text} UTC`;
}

function mean(values) {
  let total = 0;
  let n = 0;
  for (const value of values) {
    if (!absent(value)) {
      total += value;
      n += 1;
    }
  }
  return n ? total / n : NaN;
}
