/* The list of searches: filters, order, and only as many rows in the page as fit on the screen. */

const ROW_PX = 36;
const LOWER = ROWS.query.names.map((query) => query.toLowerCase());
const ORDERS = {
  change: ["largest change", (a, b) => Math.abs(b.delta) - Math.abs(a.delta) || b.entered - a.entered],
  gain: ["best first", (a, b) => b.delta - a.delta],
  loss: ["worst first", (a, b) => a.delta - b.delta],
  items: ["most new items", (a, b) => b.entered - a.entered],
  proof: ["least proven", (a, b) => a.exact - b.exact],
  time: ["newest first", (a, b) => ROWS.nowMs[b.i] - ROWS.nowMs[a.i]],
  query: ["query, A to Z", (a, b) => ROWS.query.word(a.i).localeCompare(ROWS.query.word(b.i))],
};
const EVERY = Array.from({ length: N }, (_, i) => i);
let listed = []; // rows in their order
let largest = 1;

function change(i) {
  const [from, to] = valuesOf(i, state.measure);
  return to - from;
}

/** Rows that pass the filters, in order; sliders reach only searches that carry every candidate. */
function listRows() {
  const asked = state.filter.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const hits = LOWER.map((query) => asked.every((word) => query.includes(word)));
  const only = Object.entries(state.only).filter(([, segment]) => segment !== "all");
  const pair = pairNow();
  const flip = pair.measures[state.measure].better === "lower" ? -1 : 1;
  const rows = [];
  for (const i of touched() ? DETAILED : EVERY) {
    if (!hits[ROWS.query.codes[i]]) continue;
    if (!only.every(([name, segment]) => ROWS.segments[name].word(i) === segment)) continue;
    const exact = Math.min(pair.baseline.exact_k[i], pair.contender.exact_k[i]) - Math.min(pair.k, ROWS.nCandidates[i]);
    rows.push({ i, n: 1, value: change(i), delta: flip * (change(i) || 0), entered: enteredOf(i), exact });
  }
  const order = ORDERS[state.sort][1];
  return (state.rows === "queries" ? byQuery(rows, flip) : rows).sort((a, b) => order(a, b) || a.i - b.i);
}

/** One row per query text: the mean over its searches, standing for the one that changes most. */
function byQuery(rows, flip) {
  const groups = new Map();
  for (const row of rows) {
    const code = ROWS.query.codes[row.i];
    if (groups.has(code)) groups.get(code).push(row);
    else groups.set(code, [row]);
  }
  return [...groups.values()].map((own) => {
    const rank = (row) => [ROWS.detailed[row.i], Math.abs(row.delta)];
    const first = own.reduce((best, row) => {
      const [a, b] = [rank(row), rank(best)];
      return a[0] > b[0] || (a[0] === b[0] && a[1] > b[1]) ? row : best;
    });
    const value = mean(own.map((row) => row.value));
    return {
      i: first.i, n: own.length, value, delta: flip * (value || 0),
      entered: mean(own.map((row) => row.entered)), exact: Math.min(...own.map((row) => row.exact)),
    };
  });
}

function select(label, options, value, onchange) {
  const node = h("select", { "aria-label": label, onchange: () => onchange(node.value) },
    options.map(([key, text]) => h("option", { value: key, selected: String(key) === String(value) }, text)));
  return node;
}

function renderFilters() {
  const filter = h("input", {
    type: "search", id: "filter", placeholder: "filter searches", "aria-label": "Filter searches",
    oninput: () => { state.filter = filter.value; renderList(true); },
  });
  filter.value = state.filter;
  const cuts = Object.entries(DATA.dimensions).map(([name, segments]) =>
    select(name, [["all", name === "category" ? "all categories" : name === "frequency" ? "any frequency" : `all ${name}s`],
      ...segments.map((segment) => [segment, segment])],
    state.only[name] || "all", (value) => { state.only[name] = value; renderList(true); }));
  byId("filters").replaceChildren(
    filter, ...cuts,
    select("Rows", [["searches", "each search"], ["queries", "by query"]], state.rows,
      (value) => { state.rows = value; renderList(true); }),
    select("Measure", inOrder(pairNow().measures).map(([{ name }, m]) => [m, nameOf(name)]), state.measure,
      (value) => { state.measure = Number(value); renderList(true); }),
    select("Order", Object.entries(ORDERS).map(([key, [text]]) => [key, text]), state.sort,
      (value) => { state.sort = value; renderList(true); }));
}

function listRow(row, place) {
  const { unit } = pairNow().measures[state.measure];
  const digits = digitsOf(unit);
  const kind = absent(row.value) || Number(Math.abs(row.value).toFixed(digits)) === 0 ? "same" : row.delta > 0 ? "up" : "down";
  return h("div", {
    class: "line", id: `search-${row.i}`, role: "option", "aria-selected": String(row.i === state.selected),
    "aria-posinset": place + 1, "aria-setsize": listed.length, vars: { top: `${place * ROW_PX}px` },
    onclick: () => { selectSearch(row.i, true); byId("list").focus({ preventScroll: true }); },
  }, h("span", { class: "query", title: ROWS.query.word(row.i) }, words(ROWS.query.word(row.i) || "(no text)")),
  h("span", { class: "platform" }, state.rows === "queries" ? `${whole(row.n)}×` : ROWS.platform.word(row.i) || ""),
  h("span", { class: `size ${kind}`, vars: { size: Math.min(1, Math.abs(row.delta) / largest) } }),
  h("span", { class: "delta" }, signed(row.value, digits)));
}

const sight = { top: 0, height: 900 }; // pixels of the list; measured when it scrolls or changes its size

function measureList() {
  sight.top = byId("list").scrollTop;
  sight.height = byId("list").clientHeight;
  paintList();
}

/** The rows in sight, and a few more. */
function paintList() {
  const list = byId("list");
  const from = Math.max(0, Math.floor(sight.top / ROW_PX) - 6);
  const to = Math.min(listed.length, Math.ceil((sight.top + sight.height) / ROW_PX) + 6);
  byId("rows").replaceChildren(...listed.slice(from, to).map((row, at) => listRow(row, from + at)));
  const selected = `search-${state.selected}`;
  if (byId(selected)) list.setAttribute("aria-activedescendant", selected);
  else list.removeAttribute("aria-activedescendant");
}

/** The list; `choose` selects its first search where the present one is not in it. */
function renderList(choose) {
  listed = listRows();
  const measure = pairNow().measures[state.measure];
  largest = listed.reduce((most, row) => Math.max(most, Math.abs(row.delta)), 1e-9);
  byId("rows").style.height = `${listed.length * ROW_PX}px`;
  byId("list").hidden = listed.length === 0;
  if (choose) {
    byId("list").scrollTop = 0;
    sight.top = 0;
  }
  if (choose && listed.length && !listed.some((row) => row.i === state.selected)) selectSearch(listed[0].i, false);
  paintList();
  byId("count").textContent = countText(nameOf(measure.name));
}

/** How many rows there are, of how many, and what their bar means. */
function countText(measure) {
  const shown = listed.reduce((sum, row) => sum + row.n, 0);
  const of = touched() ? `${whole(DETAILED.length)} that sliders reach` : DATA.n_listed < DATA.n_searches
    ? `${whole(N)} listed, ${whole(DATA.n_searches)} in the log` : shown < N ? whole(N) : "";
  const what = state.rows === "queries" ? `${plural(listed.length, "query", "queries")}, ${searchesOf(shown)}` : whole(shown);
  if (!listed.length) return `no search matches${of && `, of ${of}`}`;
  return `${what}${of && ` of ${of}`} · ${state.rows === "queries" ? "mean " : ""}change in ${measure}`;
}

function selectSearch(i, mark) {
  state.selected = i;
  if (mark) {
    reveal(listed.findIndex((row) => row.i === i));
    paintList();
  }
  renderDetail();
}

/** Scroll the list, never the page. */
function reveal(place) {
  const list = byId("list");
  if (place < 0) return;
  const top = place * ROW_PX;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ROW_PX > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_PX - list.clientHeight;
  sight.top = list.scrollTop;
}

function step(by, end) {
  if (!listed.length) return;
  const at = listed.findIndex((row) => row.i === state.selected);
  const next = end === undefined ? at + by : end === "first" ? 0 : listed.length - 1;
  selectSearch(listed[Math.min(listed.length - 1, Math.max(0, next))].i, true);
}

const LIST_KEYS = { ArrowDown: [1], ArrowUp: [-1], PageDown: [10], PageUp: [-10], Home: [0, "first"], End: [0, "last"] };

function listKeys(event) {
  const move = LIST_KEYS[event.key];
  if (!move) return;
  event.preventDefault();
  step(...move);
}

/** From a figure to the searches behind it. */
function showSegment(measure, row) {
  Object.assign(state, { measure, filter: "", sort: "change", only: row.dimension === "all" ? {} : { [row.dimension]: row.segment } });
  renderFilters();
  renderList(true);
  hideTip();
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  byId("searches").scrollIntoView({ behavior: calm ? "auto" : "smooth" });
  byId("list").focus({ preventScroll: true });
}
