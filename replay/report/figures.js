/* One picture per measure: a dot and its interval around zero, a row per segment. */

/** Round steps inside [low, high], at most about four of them, zero among them. */
function ticks(low, high) {
  const rough = (high - low) / 2.5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i <= Math.floor(high / step); i += 1) found.push(i * step);
  return [found, Math.max(0, -Math.floor(Math.log10(step)))];
}

function spanOf(rows) {
  const values = rows.flatMap((row) => [row.delta, row.low, row.high]).filter((value) => !absent(value));
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  const pad = (high - low) * 0.08 || 1;
  return [low - pad, high + pad];
}

function rowKind(row, better) {
  if (!row.significant) return "unclear";
  if (better === "neither") return "good";
  return (row.delta > 0) === (better === "higher") ? "good" : "worse";
}

function rowSentence(measure, row, digits) {
  if (!row.n) return `${row.segment}: not measured`;
  const exact = exactly(row.n_exact, row.n);
  return `${row.segment}: ${signed(row.delta, digits)}${unitOf(measure.unit)}, ${fixed(row.baseline, digits)} to ` +
    `${fixed(row.contender, digits)}; ${interval(row.low, row.high, digits)}, ${pValue(row.p)}; ` +
    `n = ${searchesOf(row.n)}, ${plural(row.n_queries, "query", "queries")}` +
    `${exact ? `, ${exact}` : ""}${row.significant ? "" : `; not significant${absent(row.detectable) ? "" : `: one of ${fixed(row.detectable, digits)} would be found 8 times in 10`}`}`;
}

function rowButton(measure, row, at, index) {
  const digits = digitsOf(measure.unit);
  const sentence = rowSentence(measure, row, digits);
  const marks = absent(row.delta) ? [] : [
    row.low !== null && s("line", { class: "ci", x1: at(row.low), x2: at(row.high), y1: "50%", y2: "50%" }),
    s("circle", { class: "dot", cx: at(row.delta), cy: "50%", r: 4 }),
  ];
  const reachable = row.dimension === "all" || (ROWS.segments[row.dimension] || { names: [] }).names.includes(row.segment);
  return h("button", {
    type: "button", class: `row ${rowKind(row, measure.better)}`,
    "aria-label": `${nameOf(measure.name)}, ${sentence}. ${reachable ? "Show these searches." : ""}`,
    onclick: reachable && (() => showSegment(index, row)),
    ...withTip((event) => showTip(event.currentTarget, [sentence, reachable && "click: the searches behind it"])),
  },
  h("span", { class: "segment" }, h("span", {}, words(row.segment)), h("small", {}, whole(row.n))),
  s("svg", { class: "plot", "aria-hidden": "true" },
    s("line", { class: "zero", x1: at(0), x2: at(0), y1: 0, y2: "100%" }), marks),
  h("span", { class: "delta" }, signed(row.delta, digits)));
}

const MOST_ROWS = 12;

/** The row of all searches, then those of the chosen dimension, the largest where there are too many. */
function rowsShown(measure) {
  const own = measure.rows.filter((row) => row.dimension === state.dimension);
  const largest = [...own].sort((a, b) => b.n - a.n).slice(0, MOST_ROWS);
  const all = overall(measure);
  const alone = own.length < 2 && state.dimension === "platform"; // one platform is all searches
  return [...(all ? [all] : []), ...(alone ? [] : own.filter((row) => largest.includes(row)))];
}

function measureCard([measure, index]) {
  const rows = rowsShown(measure);
  const [low, high] = spanOf(rows);
  const at = (value) => `${((value - low) / (high - low)) * 100}%`;
  const [steps, digits] = ticks(low, high);
  const axis = steps.map((step) =>
    s("text", { x: at(step), y: 11, "text-anchor": "middle" }, Math.abs(step) < 1e-12 ? "0" : signed(step, digits)));
  const note = measure.better === "neither" ? "" : `${measure.better} is better`;
  return h("div", { class: "card" },
    h("h3", {}, h("span", {}, nameOf(measure.name), measure.unit && `, ${measure.unit}`), h("small", {}, note)),
    rows.map((row) => rowButton(measure, row, at, index)),
    h("div", { class: "row axis", "aria-hidden": "true" }, h("span", {}, h("small", {}, "n")),
      s("svg", { class: "plot" }, axis), h("span", { class: "delta" }, measure.unit)));
}

function renderDimensions() {
  const measured = new Set(pairNow().measures.flatMap(({ rows }) => rows.map((row) => row.dimension)));
  const found = Object.keys(DATA.dimensions).filter((name) => measured.has(name));
  if (!found.includes(state.dimension)) state.dimension = found[0] || "platform";
  byId("dimensions").hidden = found.length < 2;
  byId("dimensions").replaceChildren(...found.map((name) => h("button", {
    type: "button", "aria-pressed": String(name === state.dimension),
    onclick: () => { state.dimension = name; renderMeasures(); byId("dimensions").querySelector("[aria-pressed=true]").focus(); },
  }, name)));
}

const FIRST_CARDS = 4;

function renderMeasures() {
  renderDimensions();
  const shown = inOrder(pairNow().measures).filter(([measure]) => overall(measure));
  const rest = shown.slice(FIRST_CARDS);
  byId("measures").replaceChildren(...shown.slice(0, FIRST_CARDS).map(measureCard));
  const more = byId("more-measures");
  more.hidden = rest.length === 0;
  more.querySelector("summary").textContent = `${plural(rest.length, "more measure")}`;
  more.querySelector(".cards").replaceChildren(...rest.map(measureCard));
}
