/* The search form: what is asked, and its place in the address, so that a search can be sent to a colleague. */

import { bench } from "/assets/state.js";
import { Refused } from "/assets/asking.js";

const DURATION = /^([+-])([0-9]+)(s|m|h|d)$/;
const UNIT_MS = { s: 1000, m: 60000, h: 3600000, d: DAY_MS };
const SOURCES = { given: "named on the command line", saved: "saved from this page", file: "files", published: "published", shipped: "shipped" };
export const AS_SERVED = "as-served";

/** Epoch ms of what was typed; null for this moment. */
export function clockMs(text) {
  const typed = text.trim();
  if (!typed || typed === "now") return null;
  const duration = DURATION.exec(typed);
  if (duration) return Date.now() + Number(duration[1] + duration[2]) * UNIT_MS[duration[3]];
  if (/^[0-9]{11,14}$/.test(typed)) return Number(typed);
  const zoned = /(Z|[+-][0-9]{2}:?[0-9]{2})$/i.test(typed) || !/[0-9]:[0-9]/.test(typed) ? typed : `${typed.replace(" ", "T")}Z`;
  const ms = Date.parse(zoned);
  if (Number.isNaN(ms)) throw new Refused(`${typed} is not a time.`, "Write 2026-11-20 09:00 (UTC), or -7d for a week ago.");
  return ms;
}

/** `brand=acme, color=red` as an object; the category beside it. */
function filters() {
  const found = {};
  if (byId("category").value) found.category = byId("category").value;
  for (const part of byId("filters").value.split(",").map((one) => one.trim()).filter(Boolean)) {
    const at = part.indexOf("=");
    if (at < 1 || at === part.length - 1) throw new Refused(`${part} is not a filter.`, "Write field=value, with commas between.");
    const [name, value] = [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    found[name] = name in found ? [found[name], value].flat() : value;
  }
  return found;
}

export const pair = () => ({ baseline: byId("baseline").value, contender: byId("contender").value, k: Number(byId("k").value) });

/** The body of a live search. */
export const liveSearch = () => ({
  ...pair(), query: byId("query").value, platform: byId("platform").value || null,
  at_ms: clockMs(byId("clock").value), filters: filters(),
});

const option = (value, text, props) => h("option", { value, ...props }, text);

/** Fills a list and keeps what was chosen, where it is still there. */
function refill(select, children, fallback) {
  const before = select.value;
  select.replaceChildren(...children);
  const has = (value) => [...select.options].some((one) => one.value === value);
  select.value = has(before) ? before : has(fallback) ? fallback : select.options[0]?.value ?? "";
}

/** The profiles, by where they come from; in a replay, also the one that served the search. */
export function fillProfiles() {
  const { profiles, preselected } = bench.start;
  const groups = () => Object.entries(SOURCES).map(([source, label]) => {
    const mine = profiles.filter((one) => one.source === source);
    return mine.length ? h("optgroup", { label }, mine.map((one) => option(one.key, one.label, { title: `${one.summary} · ${one.hash}` }))) : null;
  }).filter(Boolean);
  const served = bench.view === "captures" ? [option(AS_SERVED, "as served")] : [];
  const [one, two] = preselected;
  refill(byId("baseline"), [...served, ...groups()], bench.view === "captures" ? AS_SERVED : two ? one : "shipped:control");
  refill(byId("contender"), groups(), two ?? one ?? "shipped:additive");
}

/** Fills every list, then what the address says. */
export function fillForm() {
  const { platforms, platform, categories, at_ms, max_k } = bench.start;
  refill(byId("platform"), [option("", "any"), ...platforms.map((one) => option(one, one))], platform || "");
  if (platform) byId("platform").value = platform;
  refill(byId("category"), [option("", "any"), ...categories.map((one) => option(one, one))], "");
  refill(byId("k"), [10, 20, 50, 100].filter((k) => k <= max_k).map((k) => option(String(k), String(k))), "20");
  byId("k").value = "20";
  if (at_ms !== null) byId("clock").value = new Date(at_ms).toISOString();
  fillProfiles();
  const given = new URLSearchParams(location.search);
  for (const name of REMEMBERED) {
    const node = byId(name);
    if (!given.has(name)) continue;
    if (node.tagName !== "SELECT" || [...node.options].some((one) => one.value === given.get(name))) node.value = given.get(name);
  }
}

const REMEMBERED = ["query", "platform", "category", "clock", "filters", "baseline", "contender", "k"];

/** The form in the address; nothing secret is in it. */
export function remember() {
  const kept = REMEMBERED.filter((name) => byId(name).value).map((name) => [name, byId(name).value]);
  const view = bench.view === "live" ? [] : [["view", bench.view]];
  history.replaceState(null, "", `?${new URLSearchParams([...kept, ...view])}`);
}
