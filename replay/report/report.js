/* The page: state, and one render function per part. No library, no network: all data is in #data. */

const DATA = JSON.parse(document.getElementById("data").textContent);
const MINUS = "\u2212";
const SVG = document.getElementById("svg").namespaceURI;
const ITEMS = DATA.items.map(([id, title, price, category, photo]) => ({ id, title, price, category, photo }));

/* ---- small tools ---------------------------------------------------------------------------- */

const byId = (id) => document.getElementById(id);

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element; text goes in as text, so nothing in the data can become markup. */
const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);
const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

function fixed(value, digits) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return value.toFixed(digits).replace("-", MINUS);
}

function signed(value, digits) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value > 0 ? "+" : MINUS) + text;
}

const whole = (value) => Number(value).toLocaleString("en-US");
const plural = (n, one, many) => `${whole(n)} ${n === 1 ? one : many || one + "s"}`;
const pValue = (p) => (p === null ? "no p" : p < 0.0001 ? "p < 0.0001" : `p = ${p.toFixed(p < 0.001 ? 4 : 3)}`);
const digitsOf = (unit) => (unit === "days" ? 2 : 3);
const nameOf = (measure) => measure.replace("_", " ");
const dayText = (ms) => `${Math.round((ms / DAY_MS) * 10) / 10}`.replace("-", MINUS) + " d";
const shiftText = (ms) => (ms ? (ms > 0 ? "+" : "") + dayText(ms) : "as logged");

function timeText(ms) {
  const text = new Date(ms).toLocaleString("en-GB", {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC",
  });
  return `${text} UTC`;
}

/* ---- state ---------------------------------------------------------------------------------- */

const UNTOUCHED = { mode: null, weight: null, scale: null, shift: null };
const state = {
  pair: 0, lab: { ...UNTOUCHED }, measure: 0, sort: "change", platform: "all", filter: "", selected: 0,
};
let before = []; // the baseline's ranking of each search
let after = []; // the contender's, or that of the sliders
let changes = []; // what differs between the two, per search

const pairNow = () => DATA.comparisons[state.pair];
const touched = () => Object.values(state.lab).some((value) => value !== null);

function prepareSearches() {
  for (const search of DATA.searches) {
    search.rels = Float32Array.from(search.rel);
    search.images = Float32Array.from(search.image_score, (value) => (value === null ? NaN : value));
    search.created = Float64Array.from(search.created_ms, (value) => (value === null ? NaN : value));
  }
}

/** The weight a mode starts with: that of a compared profile with this mode, else 1. */
function usualWeight(mode) {
  for (const pair of DATA.comparisons) {
    for (const side of [pair.contender, pair.baseline]) {
      const found = Object.values(side.formula).find((formula) => formula.mode === mode);
      if (found) return found.weight;
    }
  }
  return 1;
}

/** The contender's formula on a platform, with whatever the reader has moved; the rest stays its own. */
function labFormula(platform) {
  const own = pairNow().contender.formula[platform || ""];
  const { mode: asked, weight, scale } = state.lab;
  const mode = asked === null ? own.mode : asked;
  const usual = mode === own.mode ? own.weight : usualWeight(mode);
  const freshness = own.freshness && scale !== null ? { ...own.freshness, scale_ms: scale } : own.freshness;
  return { ...own, mode, weight: weight === null ? usual : weight, freshness };
}

const labShift = () => (state.lab.shift === null ? pairNow().contender.clock_shift_ms : state.lab.shift);

function rankBaseline() {
  const side = pairNow().baseline;
  before = DATA.searches.map((search) =>
    rankSearch(search, side.formula[search.platform || ""], side.clock_shift_ms));
}

function rankContender() {
  const pair = pairNow();
  after = DATA.searches.map((search) => rankSearch(search, labFormula(search.platform), labShift()));
  changes = DATA.searches.map((search, i) => ({
    entered: entered(before[i], after[i], pair.k),
    values: pair.measures.map(({ name }) => [
      measureOf(name, search, before[i], pair), measureOf(name, search, after[i], pair),
    ]),
  }));
}

/** How many of the replay's own pages this browser ranks alike: [equal, all]. */
function selfCheck() {
  let equal = 0;
  let all = 0;
  for (const pair of DATA.comparisons) {
    for (const name of ["baseline", "contender"]) {
      const side = pair[name];
      DATA.searches.forEach((search, i) => {
        const { order } = rankSearch(search, side.formula[search.platform || ""], side.clock_shift_ms);
        equal += order.slice(0, pair.k).join() === pair.expected[name][i].join() ? 1 : 0;
        all += 1;
      });
    }
  }
  return [equal, all];
}

/** From a figure to the searches behind it. */
function showSegment(measure, segment) {
  Object.assign(state, { measure, platform: segment, filter: "", sort: "change" });
  renderFilters();
  renderList(true);
  hideTip();
  byId("searches").scrollIntoView({ behavior: "smooth" });
}

/* ---- the laboratory ------------------------------------------------------------------------- */

const SHIFT_DAYS = [-7, 30];

/** Distinct values over the platforms of the shown searches, own platform by platform. */
function overPlatforms(read) {
  const found = DATA.platforms.map((platform) => [platform || "other", read(labFormula(platform))]);
  const values = [...new Set(found.map(([, value]) => value))];
  return { found, values };
}

function perPlatform(read, show) {
  const { found, values } = overPlatforms(read);
  if (values.length === 1) return show(values[0]);
  return found.map(([platform, value]) => `${platform} ${show(value)}`).join(" · ");
}

function slider(label, range, value, show, onmove) {
  const input = h("input", { type: "range", ...range, "aria-label": label });
  input.value = value; // after min, max and step, so that it is not clamped to the defaults
  const output = h("output", {}, show());
  input.setAttribute("aria-valuetext", output.textContent);
  input.addEventListener("input", () => {
    onmove(Number(input.value));
    labMoved();
    output.textContent = show();
    input.setAttribute("aria-valuetext", output.textContent);
    paint(input);
  });
  paint(input);
  return h("label", { class: "slider" }, h("span", {}, label), input, output);
}

/** The filled part of a slider's track. */
function paint(input) {
  const share = (input.value - input.min) / (input.max - input.min || 1);
  input.style.setProperty("--filled", `${share * 100}%`);
}

function modeButtons(modes) {
  const names = { none: "control", additive: "additive", multiplicative: "multiplicative" };
  return h("div", { class: "segments", role: "group", "aria-label": "Image boost" },
    Object.entries(names).map(([mode, name]) => h("button", {
      type: "button", "aria-pressed": String(modes.length === 1 && modes[0] === mode),
      onclick: () => {
        state.lab = { ...state.lab, mode, weight: null };
        renderLab();
        labMoved();
        byId("lab").querySelector("[aria-pressed=true]").focus();
      },
    }, name)));
}

function renderLab() {
  const { values: modes } = overPlatforms((formula) => formula.mode);
  const { values: weights } = overPlatforms((formula) => formula.weight);
  const { values: scales } = overPlatforms((formula) => (formula.freshness ? formula.freshness.scale_ms : null));
  const share = modes.includes("multiplicative");
  const boosted = modes.some((mode) => mode !== "none");
  const top = share ? 1 : Math.max(10, 2 * Math.max(...weights));
  const weight = slider("image weight", { min: 0, max: top, step: share ? 0.05 : 0.1, disabled: !boosted }, weights[0],
    () => (boosted ? perPlatform((formula) => formula.weight, (value) => String(Number(value.toFixed(2)))) : "off"),
    (value) => { state.lab.weight = value; });
  const scale = slider("freshness scale", { min: 1, max: 90, step: 1, disabled: scales[0] === null },
    (scales[0] || DAY_MS) / DAY_MS,
    () => perPlatform((formula) => (formula.freshness ? formula.freshness.scale_ms : null),
      (value) => (value === null ? "no freshness" : dayText(value))),
    (value) => { state.lab.scale = value * DAY_MS; });
  const shift = slider("clock", { min: SHIFT_DAYS[0], max: SHIFT_DAYS[1], step: 1 }, labShift() / DAY_MS,
    () => shiftText(labShift()), (value) => { state.lab.shift = value * DAY_MS; });
  const reset = h("button", { type: "button", id: "reset", onclick: resetLab }, "reset");
  byId("lab").replaceChildren(modeButtons(modes), weight, scale, shift, h("div", { class: "totals", id: "totals", role: "status" }), reset);
}

function renderTotals() {
  const pair = pairNow();
  const kinds = ["nDCG", "image_score", "age"];
  byId("totals").replaceChildren(...pair.measures.flatMap(({ name, unit }, m) => {
    if (!kinds.includes(name.split("@")[0])) return [];
    const digits = digitsOf(unit);
    const [from, to] = [0, 1].map((side) => fixed(mean(changes.map(({ values }) => values[m][side])), digits));
    return [h("span", {}, `${nameOf(name)} `, h("span", { class: "nowrap" }, `${from} → `, h("b", {}, to), unit && " d"))];
  }));
  byId("reset").disabled = !touched();
  const subject = DATA.n_shown === DATA.n_searches
    ? `Means over all ${plural(DATA.n_shown, "search", "searches")}.`
    : `Means over the ${whole(DATA.n_shown)} searches shown below, of ${whole(DATA.n_searches)}; the figures above count all.`;
  const unproven = after.filter((ranking) => ranking.exactK < Math.min(pair.k, ranking.order.length)).length;
  byId("lab-note").textContent = subject + (unproven
    ? ` At these settings ${plural(unproven, "page")} of them ${unproven === 1 ? "is" : "are"} not proven down to ${pair.k}.`
    : ` Every page of them is proven down to ${pair.k}.`) +
    ` This browser ranks ${whole(check[0])} of ${whole(check[1])} shown pages exactly as the replay.`;
}

let frame = 0;

/** Re-rank once per frame, however fast a slider moves. */
function labMoved() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(refresh);
}

function refresh() {
  rankContender();
  renderTotals();
  renderList(false);
  renderDetail();
}

function resetLab() {
  state.lab = { ...UNTOUCHED };
  renderLab();
  refresh();
}

/* ---- the list of searches ------------------------------------------------------------------- */

function deltaOf(i) {
  const [from, to] = changes[i].values[state.measure];
  return to - from;
}

const ORDERS = {
  change: ["largest change", (a, b) => Math.abs(b.delta) - Math.abs(a.delta) || b.entered - a.entered],
  gain: ["largest gain", (a, b) => b.delta - a.delta],
  loss: ["largest loss", (a, b) => a.delta - b.delta],
  items: ["most new items", (a, b) => b.entered - a.entered],
  query: ["query, A to Z", (a, b) => a.query.localeCompare(b.query)],
};

function listedSearches() {
  const words = state.filter.trim().toLowerCase();
  const flip = pairNow().measures[state.measure].better === "lower" ? -1 : 1;
  return DATA.searches
    .map((search, i) => ({
      i, query: search.query, platform: search.platform, entered: changes[i].entered,
      delta: flip * (deltaOf(i) || 0),
    }))
    .filter((row) => (state.platform === "all" || row.platform === state.platform) &&
      (!words || row.query.toLowerCase().includes(words)))
    .sort((a, b) => ORDERS[state.sort][1](a, b) || a.i - b.i);
}

function select(label, options, value, onchange) {
  const node = h("select", { "aria-label": label, onchange: () => onchange(node.value) },
    options.map(([key, text]) => h("option", { value: key, selected: String(key) === String(value) }, text)));
  return node;
}

function renderFilters() {
  const filter = h("input", {
    type: "search", placeholder: "filter searches", "aria-label": "Filter searches",
    oninput: () => { state.filter = filter.value; renderList(true); },
  });
  filter.value = state.filter;
  const platforms = DATA.platforms.filter(Boolean);
  byId("filters").replaceChildren(
    filter,
    platforms.length > 1 && select("Platform", [["all", "all platforms"], ...platforms.map((name) => [name, name])],
      state.platform, (value) => { state.platform = value; renderList(true); }),
    select("Measure", pairNow().measures.map(({ name }, m) => [m, nameOf(name)]), state.measure,
      (value) => { state.measure = Number(value); renderList(true); }),
    select("Order", Object.entries(ORDERS).map(([key, [text]]) => [key, text]), state.sort,
      (value) => { state.sort = value; renderList(true); }));
}

/** The list; `choose` selects its first search where the present one is not in it. */
function renderList(choose) {
  const rows = listedSearches();
  const measure = pairNow().measures[state.measure];
  const digits = digitsOf(measure.unit);
  const largest = Math.max(...rows.map((row) => Math.abs(row.delta)), 1e-9);
  if (choose && rows.length && !rows.some((row) => row.i === state.selected)) selectSearch(rows[0].i, false);
  byId("list").replaceChildren(...rows.map((row) => {
    const value = deltaOf(row.i);
    const kind = Number(Math.abs(value).toFixed(digits)) === 0 || Number.isNaN(value) ? "same" : row.delta > 0 ? "up" : "down";
    const bar = h("span", { class: `size ${kind}` });
    bar.style.setProperty("--size", String(Math.abs(row.delta) / largest));
    return h("li", {
      id: `search-${row.i}`, role: "option", "aria-selected": String(row.i === state.selected),
      onclick: () => { selectSearch(row.i, true); byId("list").focus({ preventScroll: true }); },
    }, h("span", { class: "query" }, row.query), h("span", { class: "platform" }, row.platform || ""), bar,
    h("span", { class: "delta" }, signed(value, digits)));
  }));
  byId("list").setAttribute("aria-activedescendant", `search-${state.selected}`);
  const part = DATA.n_shown < DATA.n_searches ? ` of ${whole(DATA.n_searches)}` : "";
  byId("count").textContent = rows.length
    ? `${whole(rows.length)}${rows.length < DATA.n_shown ? ` of ${whole(DATA.n_shown)} shown` : part} · change in ${nameOf(measure.name)}`
    : "no search matches";
}

function selectSearch(i, mark) {
  state.selected = i;
  if (mark) {
    for (const node of byId("list").children) node.setAttribute("aria-selected", String(node.id === `search-${i}`));
    byId("list").setAttribute("aria-activedescendant", `search-${i}`);
    reveal(byId(`search-${i}`));
  }
  renderDetail();
}

/** Scroll the list, never the page. */
function reveal(node) {
  const list = byId("list");
  if (!node) return;
  const top = node.offsetTop - list.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + node.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + node.offsetHeight - list.clientHeight;
}

function step(by, absolute) {
  const rows = listedSearches();
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.i === state.selected);
  const next = absolute === undefined ? at + by : absolute === "first" ? 0 : rows.length - 1;
  selectSearch(rows[Math.min(rows.length - 1, Math.max(0, next))].i, true);
}

function listKeys(event) {
  const moves = { ArrowDown: [1], ArrowUp: [-1], PageDown: [8], PageUp: [-8], Home: [0, "first"], End: [0, "last"] };
  const move = moves[event.key];
  if (!move) return;
  event.preventDefault();
  step(...move);
}

/* ---- one search ----------------------------------------------------------------------------- */

function chip(text, kind, title) {
  return h("span", { class: `chip ${kind || ""}`, title }, text);
}

function exactChip(i) {
  const pair = pairNow();
  const proven = Math.min(before[i].exactK, after[i].exactK);
  const need = Math.min(pair.k, after[i].order.length);
  const all = proven >= DATA.searches[i].item.length;
  return chip(all ? "exact: all matches" : `exact to ${proven}`, proven >= need ? "good" : "bad",
    "Down to here no item outside the log could have entered, on either side");
}

function moveMark(rank, from, k) {
  if (!from || from > k) return ["new", "new", `new, was ${from ? `rank ${from}` : "not there"}`];
  if (from === rank) return ["=", "same", "same rank"];
  return from > rank ? [`▲${from - rank}`, "up", `up ${from - rank}`] : [`▼${rank - from}`, "down", `down ${rank - from}`];
}

/** The lengths of a tile's bar: what relevance gives, and what the image gives, both after freshness. */
function shares(parts, formula) {
  const { mode, weight } = formula;
  if (mode === "none") return [parts.final, 0];
  if (mode === "additive") return [parts.rel * parts.fresh, weight * parts.image * parts.fresh];
  return [parts.rel * (1 - weight) * parts.fresh, parts.rel * weight * parts.image * parts.fresh];
}

function arithmetic(parts, formula, unscored) {
  const image = `${fixed(parts.image, 3)}${unscored ? " (unscored)" : ""}`;
  const w = Number(formula.weight.toFixed(3));
  const lines = [["relevance", fixed(parts.rel, 3)]];
  if (formula.mode === "additive") lines.push([`+ ${w} × image ${image}`, fixed(parts.combined, 3)]);
  else if (formula.mode === "multiplicative") lines.push([`× (${Number((1 - w).toFixed(3))} + ${w} × image ${image})`, fixed(parts.combined, 3)]);
  else lines.push([`image ${image}`, "not used"]);
  lines.push(["× freshness", fixed(parts.fresh, 4)]);
  lines.push(["= score", fixed(parts.final, 4)]);
  return lines;
}

function photoOf(item) {
  const uri = item.photo >= 0 ? DATA.photos[item.photo] : null;
  return uri
    ? h("img", { src: uri, alt: "", width: 160, height: 160, decoding: "async" })
    : h("span", { class: "nophoto" }, item.category || "no photo");
}

function tile(search, ranking, other, i, rank, longest, isContender) {
  const k = pairNow().k;
  const item = ITEMS[search.item[i]];
  const parts = scoreParts(ranking.formula, search, i, ranking.nowMs);
  const unscored = Number.isNaN(search.images[i]);
  const [text, kind, spoken] = isContender ? moveMark(rank, other.ranks[i], k)
    : other.ranks[i] && other.ranks[i] <= k ? ["", "", ""] : ["out", "out", "leaves the page"];
  const [green, warm] = shares(parts, ranking.formula);
  const bar = h("span", { class: "bar" }, h("i", { class: "rel" }), h("i", { class: "img" }));
  bar.style.setProperty("--rel", String(Math.max(0, green) / longest));
  bar.style.setProperty("--img", String(Math.max(0, warm) / longest));
  const age = Number.isNaN(search.created[i]) ? "no date" : `${Math.max(0, Math.floor((ranking.nowMs - search.created[i]) / DAY_MS))} d`;
  const price = item.price === null ? "" : DATA.currency + whole(item.price);
  const grade = search.grade && search.grade[i] !== null ? `grade ${search.grade[i]}` : "unjudged";
  const name = item.title || item.id;
  const show = (event) => showItem(event.currentTarget, item, search.item[i],
    arithmetic(parts, ranking.formula, unscored), [price, age, search.grade && grade]);
  return h("li", {
    class: "tile", tabindex: 0, "data-item": search.item[i], onmouseenter: show, onfocus: show, onmouseleave: hideTip, onblur: hideTip,
    "aria-label": `rank ${rank}${spoken && `, ${spoken}`}: ${name}; score ${fixed(parts.final, 2)}, relevance ${fixed(parts.rel, 2)}, ` +
      `image ${unscored ? "unscored" : fixed(parts.image, 2)}, freshness ${fixed(parts.fresh, 2)}, ${price || "no price"}, ${age}`,
  },
  h("span", { class: "photo" }, photoOf(item), h("span", { class: "rank" }, rank), text && h("span", { class: `move ${kind}` }, text)),
  bar,
  h("span", { class: "numbers" }, h("b", {}, fixed(parts.final, 2)), h("span", { class: "warm" }, unscored ? "–" : fixed(parts.image, 2))),
  h("span", { class: "numbers faint" }, h("span", {}, price), h("span", {}, age)));
}

function grid(search, i, isContender, longest) {
  const pair = pairNow();
  const ranking = isContender ? after[i] : before[i];
  const other = isContender ? before[i] : after[i];
  const first = pair.measures.findIndex(({ name }) => name.startsWith("nDCG"));
  const m = first < 0 ? 0 : first;
  const value = changes[i].values[m][isContender ? 1 : 0];
  const label = isContender && touched() ? `your settings: ${settingsText(search)}` : pair[isContender ? "contender" : "baseline"].label;
  const tiles = ranking.order.slice(0, pair.k).map((p, place) => tile(search, ranking, other, p, place + 1, longest, isContender));
  return h("section", { class: "side" },
    h("h3", {}, h("span", {}, label), h("small", {}, `${nameOf(pair.measures[m].name)} ${fixed(value, 3)}`)),
    tiles.length ? h("ol", { class: "grid" }, tiles) : h("p", { class: "empty" }, "No item at this clock."));
}

function settingsText(search) {
  const { mode, weight, freshness } = labFormula(search.platform);
  const boost = mode === "none" ? "no boost" : `${mode} w ${Number(weight.toFixed(2))}`;
  const shift = labShift();
  return [boost, freshness && `${freshness.curve} ${dayText(freshness.scale_ms)}`, shift && `clock ${shiftText(shift)}`].filter(Boolean).join(", ");
}

function renderDetail() {
  const i = state.selected;
  const search = DATA.searches[i];
  const pair = pairNow();
  const tops = [before[i], after[i]].flatMap((ranking) => ranking.order.slice(0, pair.k).map((p) => ranking.scores[p]));
  const longest = Math.max(...tops, 1e-9);
  const scrolled = byId("detail").querySelector(".grid")?.scrollLeft || 0;
  const rows = listedSearches();
  const at = rows.findIndex((row) => row.i === i);
  const served = DATA.served[search.profile_hash] || search.profile;
  byId("detail").replaceChildren(
    h("header", { class: "head" },
      h("h2", {}, search.query || "(no text)"),
      search.platform && chip(search.platform), chip(timeText(search.now_ms)), exactChip(i),
      chip(`served: ${served}`, "", `profile ${search.profile_hash}`), chip(`${plural(search.total_hits, "hit")}`),
      h("span", { class: "pager" },
        h("button", { type: "button", "aria-label": "Previous search", onclick: () => step(-1) }, "‹"),
        h("span", {}, at < 0 ? "" : `${at + 1} / ${rows.length}`),
        h("button", { type: "button", "aria-label": "Next search", onclick: () => step(1) }, "›")),
      h("span", { class: "legend", "aria-hidden": "true" }, h("i", { class: "rel" }), "relevance × freshness", h("i", { class: "img" }), "image")),
    h("div", { class: "sides" }, grid(search, i, false, longest), grid(search, i, true, longest)),
    scatter(search, i));
  linkStrips(scrolled);
}

/** On a phone the two pages are strips that scroll together. */
function linkStrips(scrolled) {
  const strips = [...byId("detail").querySelectorAll(".grid")];
  for (const strip of strips) {
    strip.scrollLeft = scrolled;
    strip.addEventListener("scroll", () => {
      for (const other of strips) if (other !== strip && other.scrollLeft !== strip.scrollLeft) other.scrollLeft = strip.scrollLeft;
    }, { passive: true });
  }
}

/* ---- all candidates of one search ----------------------------------------------------------- */

/** Where a candidate stands: on both pages, entering, leaving, or on neither. */
function standing(i, p, k) {
  const was = before[i].ranks[p] >= 1 && before[i].ranks[p] <= k;
  const is = after[i].ranks[p] >= 1 && after[i].ranks[p] <= k;
  return is ? (was ? "stays" : "enters") : was ? "leaves" : "rest";
}

/** Why items move: relevance times freshness across, image score up, one dot per logged candidate. */
function scatter(search, i) {
  const { k } = pairNow();
  const { formula, nowMs, order } = after[i];
  const points = order.map((p) => {
    const parts = scoreParts(formula, search, p, nowMs);
    return { p, parts, x: parts.rel * parts.fresh, kind: standing(i, p, k) };
  }).reverse(); // the best are drawn last, on top
  const widest = Math.max(...points.map(({ x }) => x), 1e-9);
  const dots = points.map(({ p, parts, x, kind }) => {
    const item = ITEMS[search.item[p]];
    const rank = `rank ${before[i].ranks[p] || "–"} → ${after[i].ranks[p]}`;
    return s("circle", {
      class: kind, cx: `${(100 * x) / widest}%`, cy: `${100 - 100 * parts.image}%`, r: kind === "rest" ? 2.5 : 4.5,
      onmouseenter: (event) => showItem(event.currentTarget, item, search.item[p],
        arithmetic(parts, formula, Number.isNaN(search.images[p])), [rank]),
      onmouseleave: hideTip,
    });
  });
  const count = (kind) => points.filter((point) => point.kind === kind).length;
  const key = [["stays", "on both pages"], ["enters", "enters"], ["leaves", "leaves"], ["rest", "on neither"]];
  return h("section", { class: "scatter" },
    h("h3", {}, h("span", {}, `All ${whole(points.length)} logged candidates`),
      h("small", { class: "key" }, key.map(([kind, text]) =>
        h("span", {}, s("svg", { width: 10, height: 10, "aria-hidden": "true" }, s("circle", { class: kind, cx: 5, cy: 5, r: kind === "rest" ? 2.5 : 4 })),
          ` ${text} ${count(kind)}`)))),
    h("div", { class: "field" }, s("svg", {
      role: "img",
      "aria-label": `Image score against relevance times freshness: ${key.map(([kind, text]) => `${count(kind)} ${text}`).join(", ")}`,
    }, dots), h("span", { class: "warm" }, "image score"), h("span", { class: "faint" }, "relevance × freshness →")));
}

/* ---- tooltip -------------------------------------------------------------------------------- */

function placeTip(anchor, ...content) {
  const tip = byId("tip");
  tip.replaceChildren(...content);
  tip.hidden = false;
  const box = anchor.getBoundingClientRect();
  const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
  const above = box.top - tip.offsetHeight - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 8 ? above : box.bottom + 8}px`;
}

const showTip = (anchor, lines) => placeTip(anchor, ...lines.map((line, i) => h("p", { class: i ? "faint" : "" }, line)));

function showItem(anchor, item, place, lines, facts) {
  placeTip(anchor, h("p", { class: "name" }, item.title || item.id),
    h("p", { class: "faint" }, [item.category, ...facts].filter(Boolean).join(" · ")),
    h("dl", {}, lines.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
  for (const node of document.querySelectorAll(".tile")) node.classList.toggle("twin", Number(node.dataset.item) === place);
}

function hideTip() {
  byId("tip").hidden = true;
  for (const node of document.querySelectorAll(".tile.twin")) node.classList.remove("twin");
}

/* ---- profiles, notes, buttons --------------------------------------------------------------- */

function renderProfiles() {
  const pair = pairNow();
  const rows = pair.profiles.filter(([, , , differs]) => differs).map(([key, one, two]) =>
    h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, one), h("td", {}, two)));
  const heads = [pair.baseline, pair.contender].map((side) => h("th", { scope: "col" }, side.label, h("small", {}, side.hash)));
  byId("profile-table").replaceChildren(
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "differs in"), heads)),
    h("tbody", {}, rows.length ? rows : h("tr", {}, h("td", { colspan: 3 }, "nothing: the two profiles are equal"))));
  byId("profile-same").replaceChildren("Equal: ", ...pair.profiles.filter(([, , , differs]) => !differs)
    .map(([key, one]) => h("span", {}, key, " ", h("b", {}, one))));
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

function download() {
  const link = h("a", {
    href: URL.createObjectURL(new Blob([byId("data").textContent], { type: "application/json" })),
    download: "replay-report.json",
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/* ---- start ---------------------------------------------------------------------------------- */

let check = [0, 0];

function choosePair(i) {
  const changed = pairNow().measures.map(({ name }) => name).join();
  Object.assign(state, { pair: i, lab: { ...UNTOUCHED } });
  if (pairNow().measures.map(({ name }) => name).join() !== changed) state.measure = 0;
  renderAll();
  byId("pairs").querySelector("[aria-pressed=true]").focus({ preventScroll: true });
}

function renderAll() {
  rankBaseline();
  rankContender();
  renderHeader();
  renderVerdict();
  renderTrust(check);
  renderMeasures();
  renderLab();
  renderTotals();
  renderFilters();
  renderList(false);
  renderDetail();
  renderProfiles();
}

function start() {
  prepareSearches();
  check = selfCheck();
  rankBaseline();
  rankContender();
  state.selected = listedSearches()[0].i;
  renderAll();
  byId("list").addEventListener("keydown", listKeys);
  byId("lab").addEventListener("submit", (event) => event.preventDefault());
  byId("theme").addEventListener("click", toggleTheme);
  byId("download").addEventListener("click", download);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
  addEventListener("scroll", hideTip, { passive: true });
}

start();
