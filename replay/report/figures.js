/* The figures over all searches: header, verdict, trust, one picture per measure. */

/* ---- header and verdict --------------------------------------------------------------------- */

function renderHeader() {
  const pair = pairNow();
  byId("sides").replaceChildren(
    pair.contender.label, " ", h("span", { class: "against" }, "against"), " ", pair.baseline.label);
  const index = DATA.index.length > 2 ? `${DATA.index[0]} and ${DATA.index.length - 1} more` : DATA.index.join(", ");
  byId("meta").replaceChildren(...[
    index, plural(DATA.n_searches, "search", "searches"), DATA.dates,
    `profiles ${pair.contender.hash} / ${pair.baseline.hash}`,
    `clock: ${shiftText(pair.contender.clock_shift_ms)}`,
  ].map((text) => h("span", {}, text)));
  const tabs = DATA.comparisons.map((one, i) => h("button", {
    type: "button", "aria-pressed": String(i === state.pair), onclick: () => choosePair(i),
  }, one.contender.label));
  byId("pairs").replaceChildren(...tabs);
  byId("pairs").hidden = tabs.length < 2;
}

function overall(measure) {
  return measure.rows.find((row) => row.segment === "all");
}

function interval(low, high, digits, p) {
  if (low === null || high === null) return "no interval: fewer than two queries";
  const range = `95 % CI ${signed(low, digits)} to ${signed(high, digits)}`;
  return p === undefined ? range : `${range}, ${pValue(p)}`;
}

function figure(value, name, ...lines) {
  return h("div", { class: "figure" },
    h("dt", {}, h("strong", {}, value), " ", name),
    lines.map((line) => h("dd", {}, line)));
}

function renderVerdict() {
  const pair = pairNow();
  byId("verdict").textContent = pair.verdict;
  const judged = pair.measures.some((measure) => measure.name.startsWith("nDCG"));
  const wanted = pair.measures.filter(({ name }) => !(judged && name.startsWith("freshness")));
  const figures = wanted.slice(0, 3).map((measure) => {
    const row = overall(measure);
    const digits = digitsOf(measure.unit);
    const unit = measure.unit === "days" ? " d" : "";
    return figure(signed(row.delta, digits) + unit, nameOf(measure.name),
      `${fixed(row.baseline, digits)} → ${fixed(row.contender, digits)}`,
      interval(row.low, row.high, digits, row.p));
  });
  const { mean: changed, low, high } = pair.entered;
  figures.push(figure(fixed(changed, 1), `of ${pair.k} items change`,
    "per search, mean",
    low === null ? "no interval: fewer than two queries" : `95 % CI ${fixed(low, 1)} to ${fixed(high, 1)}`));
  byId("figures").replaceChildren(...figures);
}

function trustLine(kind, head, ...lines) {
  return h("div", { class: `claim ${kind}` }, h("strong", {}, head), lines.map((line) => h("span", {}, line)));
}

function parityLines() {
  const { parity } = DATA;
  if (!parity.scores) return [trustLine("warn", "nothing to compare", "the log holds no served score of a known profile")];
  const exact = parity.bit_equal === parity.scores;
  const alike = parity.identical_topk === parity.searches;
  const pages = `${whole(parity.identical_topk)} of ${plural(parity.searches, "page")} identical, item for item`;
  const lines = [
    exact
      ? trustLine("good", `${whole(parity.bit_equal)} / ${whole(parity.scores)}`, "scores equal to the log, bit for bit", alike && pages)
      : trustLine("bad", `${whole(parity.bit_equal)} / ${whole(parity.scores)} scores equal`,
        `the others differ from the log by up to ${plural(parity.worst_ulp, "float32 step")}: do not trust the figures`),
    !alike && trustLine("bad", pages, "the formula does not give the pages that were served"),
    parity.unknown_profile > 0 && trustLine("bad", `${plural(parity.unknown_profile, "search", "searches")} unchecked`,
      "the log lacks their profile"),
  ];
  if (parity.failures.length) {
    const first = parity.failures.slice(0, 5).map((one) =>
      h("li", {}, `${one.query}, rank ${one.rank}: logged ${one.logged}, formula ${one.recomputed}`));
    lines.push(h("details", {}, h("summary", {}, "first differences"), h("ul", {}, first)));
  }
  return lines;
}

function liveLine() {
  const { live } = DATA;
  if (!live) return null;
  const { drift } = live;
  const share = drift.common_items ? Math.round((100 * drift.rel_equal) / drift.common_items) : 0;
  return trustLine(live.holds ? "good" : "bad",
    `live: ${whole(live.bit_equal)} / ${whole(live.scores)}`,
    `scores of ${plural(live.searches, "search", "searches")} asked again equal to the formula`,
    `index drift, apart: ${share} % of relevances unmoved, ${plural(drift.entered, "item")} entered, ` +
    `${whole(drift.left)} left, ${whole(drift.rescored)} rescored`);
}

function renderTrust(check) {
  const pair = pairNow();
  const all = pair.proven === DATA.n_searches;
  byId("trust").replaceChildren(...[
    ...parityLines(),
    trustLine(all ? "good" : "warn", `exact to ${pair.k}`,
      `proven on ${whole(pair.proven)} of ${plural(DATA.n_searches, "search", "searches")}, both sides`),
    liveLine(),
    DATA.simulated_clicks && trustLine("warn", "simulated clicks", "clicks come from a click model, not from users"),
    DATA.simulated_judgments && trustLine("warn", "simulated judgments", "grades come from a model of buyers, not from people"),
    check[0] < check[1] && trustLine("bad", "this browser ranks differently",
      `only ${whole(check[0])} of ${whole(check[1])} shown pages come out as in the replay`),
  ].filter(Boolean));
}

/* ---- one picture per measure ---------------------------------------------------------------- */

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
  const values = rows.flatMap((row) => [row.delta, row.low, row.high]).filter((value) => value !== null);
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
  const unit = measure.unit ? ` ${measure.unit}` : "";
  if (!row.n) return `${row.segment}: not measured`;
  return `${row.segment}: ${signed(row.delta, digits)}${unit}, ${fixed(row.baseline, digits)} to ` +
    `${fixed(row.contender, digits)}; ${interval(row.low, row.high, digits, row.p)}; ` +
    `n = ${plural(row.n, "search", "searches")}, ${plural(row.n_queries, "query", "queries")}` +
    `${row.significant ? "" : "; not significant"}`;
}

function rowButton(measure, row, at, index) {
  const digits = digitsOf(measure.unit);
  const kind = rowKind(row, measure.better);
  const sentence = rowSentence(measure, row, digits);
  const marks = row.delta === null ? [] : [
    row.low !== null && s("line", { class: "ci", x1: at(row.low), x2: at(row.high), y1: "50%", y2: "50%" }),
    s("circle", { class: "dot", cx: at(row.delta), cy: "50%", r: 4 }),
  ];
  return h("button", {
    type: "button", class: `row ${kind}`, "aria-label": `${nameOf(measure.name)}, ${sentence}. Show these searches.`,
    onclick: () => showSegment(index, row.segment),
    onmouseenter: (event) => showTip(event.currentTarget, [sentence, "click: the searches behind it"]),
    onmouseleave: hideTip, onfocus: (event) => showTip(event.currentTarget, [sentence]), onblur: hideTip,
  },
  h("span", { class: "segment" }, row.segment),
  s("svg", { class: "plot", "aria-hidden": "true" },
    s("line", { class: "zero", x1: at(0), x2: at(0), y1: 0, y2: "100%" }), marks),
  h("span", { class: "delta" }, signed(row.delta, digits)));
}

function measureCard(measure, index) {
  const rows = measure.rows.filter((row) => DATA.platforms.length > 1 || row.segment === "all");
  const [low, high] = spanOf(rows);
  const at = (value) => `${((value - low) / (high - low)) * 100}%`;
  const [steps, digits] = ticks(low, high);
  const axis = steps.map((step) =>
    s("text", { x: at(step), y: 11, "text-anchor": "middle" }, Math.abs(step) < 1e-12 ? "0" : signed(step, digits)));
  const note = measure.better === "neither" ? "" : `${measure.better} is better`;
  return h("div", { class: "card" },
    h("h3", {}, nameOf(measure.name), measure.unit && `, ${measure.unit}`, h("small", {}, note)),
    rows.map((row) => rowButton(measure, row, at, index)),
    h("div", { class: "row axis", "aria-hidden": "true" }, h("span", {}),
      s("svg", { class: "plot" }, axis), h("span", { class: "delta" }, measure.unit)));
}

/** How far the contender's first k moved: one column per number of places. */
function movesCard(pair) {
  const { places, new: fresh } = pair.moves;
  const columns = places.map((n, i) => [i - (pair.k - 1), n]);
  const total = columns.reduce((sum, [, n]) => sum + n, fresh) || 1;
  const shown = [...columns.map(([by, n]) => [by === 0 ? "=" : signed(by, 0), n, by]), ["new", fresh, pair.k]];
  const tallest = Math.max(...shown.map(([, n]) => n), 1);
  const bars = shown.map(([label, n, by], i) => {
    const height = (n / tallest) * 100;
    return s("rect", {
      class: by === pair.k ? "bar new" : by === 0 ? "bar same" : "bar", rx: 1.5,
      x: `${((i + 0.12) / shown.length) * 100}%`, width: `${76 / shown.length}%`,
      y: `${100 - height}%`, height: `${height}%`,
    }, s("title", {}, `${label}: ${whole(n)} items, ${((100 * n) / total).toFixed(1)} %`));
  });
  const still = (100 * columns[pair.k - 1][1]) / total;
  return h("div", { class: "card" },
    h("h3", {}, "places moved", h("small", {}, `of first ${pair.k}`)),
    s("svg", {
      class: "moves", role: "img",
      "aria-label": `${still.toFixed(0)} % of items keep their place, ${((100 * fresh) / total).toFixed(0)} % are new`,
    }, bars),
    h("div", { class: "moves-axis", "aria-hidden": "true" },
      h("span", {}, `down ${pair.k - 1}`), h("span", {}, "same"), h("span", {}, `up ${pair.k - 1} · new`)));
}

function renderMeasures() {
  const pair = pairNow();
  byId("measures").replaceChildren(...pair.measures.map(measureCard), movesCard(pair));
}
