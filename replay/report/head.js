/* The top of the page: what is compared, the log's checks, the verdict, and how far to trust it. */

function renderHeader() {
  const pair = pairNow();
  byId("sides").replaceChildren(
    pair.contender.label, " ", h("span", { class: "against" }, "against"), " ", pair.baseline.label);
  const index = DATA.index.length > 2 ? `${DATA.index[0]} and ${DATA.index.length - 1} more` : DATA.index.join(", ");
  byId("meta").replaceChildren(...[
    index, `${searchesOf(DATA.n_searches)}, ${plural(DATA.n_queries, "query", "queries")}`, DATA.dates,
    `profiles ${pair.contender.hash} / ${pair.baseline.hash}`,
    `clock: ${shiftText(pair.contender.clock_shift_ms)}`,
  ].map((text) => h("span", {}, text)));
  const tabs = DATA.comparisons.map((one, i) => h("button", {
    type: "button", "aria-pressed": String(i === state.pair), onclick: () => choosePair(i),
  }, one.contender.label));
  byId("pairs").replaceChildren(...tabs);
  byId("pairs").hidden = tabs.length < 2;
}

/* ---- checks of the log ---------------------------------------------------------------------- */

const CHECK_ORDER = ["failed", "warning", "ok"];
const CHECK_MARKS = { failed: "✕", warning: "!", ok: "✓" };

function checkRow(one) {
  const examples = (one.examples || []).slice(0, 5).map((example) => typeof example === "string" ? example : JSON.stringify(example));
  return h("li", { class: one.verdict },
    h("span", { class: "mark", "aria-hidden": "true" }, CHECK_MARKS[one.verdict]),
    h("span", {}, h("b", {}, nameOf(one.name)), ` ${one.verdict}: `, words(one.says),
      !absent(one.of) && h("small", {}, ` ${whole(one.count)} of ${whole(one.of)}`),
      examples.length > 0 && h("small", { class: "examples" }, "such as ", words(examples.join(", ")))));
}

/** Before any figure: what is wrong with the log itself. */
function renderChecks() {
  const { checks } = DATA;
  byId("checks").hidden = !checks || !checks.length;
  if (!checks || !checks.length) return;
  const count = (verdict) => checks.filter((one) => one.verdict === verdict).length;
  const [failed, warned] = [count("failed"), count("warning")];
  const head = failed
    ? `${plural(failed, "log check")} failed: read the figures with that in mind`
    : warned ? `${plural(warned, "log check")} with a warning` : `all ${checks.length} log checks passed`;
  const rows = [...checks].sort((a, b) => CHECK_ORDER.indexOf(a.verdict) - CHECK_ORDER.indexOf(b.verdict));
  byId("checks").className = `checks ${failed ? "failed" : warned ? "warning" : "ok"}`;
  byId("checks").replaceChildren(h("details", { open: failed > 0 },
    h("summary", {}, h("span", { class: "mark", "aria-hidden": "true" }, CHECK_MARKS[failed ? "failed" : warned ? "warning" : "ok"]), head),
    h("ul", {}, rows.map(checkRow))));
}

/* ---- verdict -------------------------------------------------------------------------------- */

const FIRST = ["nDCG", "image_score", "age", "freshness"];

/** The measures people ask for first, then the others in their own order: [measure, its place]. */
function inOrder(measures) {
  const place = ({ name }) => {
    const at = FIRST.indexOf(name.split("@")[0]);
    return at < 0 ? FIRST.length : at;
  };
  return measures.map((measure, i) => [measure, i]).sort((a, b) => place(a[0]) - place(b[0]) || a[1] - b[1]);
}

const overall = (measure) => measure.rows.find((row) => row.dimension === "all");

function interval(low, high, digits) {
  if (low === null || high === null) return "no interval: fewer than two queries";
  return `95 % CI ${signed(low, digits)} to ${signed(high, digits)}`;
}

const exactly = (n, of) => (n === null ? null : n === of ? "all exact" : `${percent(n, of)} exact`);

function figure(value, name, lines) {
  return h("div", { class: "figure" },
    h("dt", {}, h("strong", {}, value), " ", name),
    lines.filter(Boolean).map((line) => h("dd", {}, line)));
}

function renderVerdict() {
  const pair = pairNow();
  byId("verdict").textContent = pair.verdict;
  const figures = inOrder(pair.measures).slice(0, 3).map(([measure]) => [measure, overall(measure)]).filter(([, row]) => row)
    .map(([measure, row]) => {
      const digits = digitsOf(measure.unit);
      return figure(signed(row.delta, digits) + unitOf(measure.unit), nameOf(measure.name), [
        `${fixed(row.baseline, digits)} → ${fixed(row.contender, digits)}, ${pValue(row.p)}`,
        interval(row.low, row.high, digits),
        [`n = ${whole(row.n)}`, exactly(row.n_exact, row.n)].filter(Boolean).join(", "),
      ]);
    });
  const { mean: changed, low, high, n } = pair.entered;
  figures.push(figure(fixed(changed, 1), `of ${pair.k} items change`, [
    ["mean per search", ...pair.agreements.filter((row) => row.measure.startsWith("RBO")).map((row) => `RBO ${fixed(row.mean, 2)}`)].join(", "),
    low === null ? "no interval: fewer than two queries" : `95 % CI ${fixed(low, 1)} to ${fixed(high, 1)}`,
    `n = ${whole(n)}, ${exactly(pair.proven, n)}`,
  ]));
  byId("figures").replaceChildren(...figures);
}

/* ---- trust ---------------------------------------------------------------------------------- */

function trustLine(kind, head, ...lines) {
  return h("div", { class: `claim ${kind}` }, h("strong", {}, head), lines.filter(Boolean).map((line) => h("span", {}, line)));
}

function parityLines() {
  const { parity } = DATA;
  const imported = parity.imported > 0 && trustLine("warn", `${searchesOf(parity.imported)} imported`,
    "from a log that does not name the formula: nothing to recompute");
  if (!parity.scores) return [imported || trustLine("warn", "nothing to compare", "the log holds no served score of a known profile")];
  const exact = parity.bit_equal === parity.scores;
  const alike = parity.identical_topk === parity.searches;
  const pages = `${whole(parity.identical_topk)} of ${plural(parity.searches, "page")} identical, item for item`;
  const lines = [
    exact
      ? trustLine("good", `${whole(parity.bit_equal)} / ${whole(parity.scores)}`, "scores equal to the log, bit for bit", alike && pages)
      : trustLine("bad", `${whole(parity.bit_equal)} / ${whole(parity.scores)} scores equal`,
        `the others differ from the log by up to ${plural(parity.worst_ulp, "float32 step")}: do not trust the figures`),
    !alike && trustLine("bad", pages, "the formula does not give the pages that were served"),
    parity.unknown_profile > 0 && trustLine("bad", `${searchesOf(parity.unknown_profile)} unchecked`, "the log lacks their profile"),
    imported,
  ];
  if (parity.failures.length) {
    const first = parity.failures.slice(0, 5).map((one) =>
      h("li", {}, words(one.query), `, rank ${one.rank}: logged ${one.logged}, formula ${one.recomputed}`));
    lines.push(h("details", {}, h("summary", {}, "first differences"), h("ul", {}, first)));
  }
  return lines;
}

function liveLine() {
  const { live } = DATA;
  if (!live) return null;
  const { drift } = live;
  const changed = [[drift.entered, "entered"], [drift.left, "left"], [drift.rescored, "rescored"]]
    .filter(([n]) => n).map(([n, what]) => `${whole(n)} ${what}`);
  return trustLine(live.holds ? "good" : "bad",
    `live: ${whole(live.bit_equal)} / ${whole(live.scores)}`,
    `scores of ${searchesOf(live.searches)} asked again today`,
    `index drift: ${percent(drift.rel_equal, drift.common_items)} of relevances unmoved${changed.length ? `, items: ${changed.join(", ")}` : ""}`);
}

function simulatedLine() {
  const what = [DATA.simulated_clicks && "clicks", DATA.simulated_judgments && "judgments"].filter(Boolean);
  if (!what.length) return null;
  return trustLine("warn", `simulated ${what.join(" and ")}`, "made by a model of buyers, not by people");
}

function renderTrust() {
  const pair = pairNow();
  const all = pair.proven === DATA.n_searches;
  byId("trust").replaceChildren(...[
    ...parityLines(),
    trustLine(all ? "good" : "warn", `exact to ${pair.k}`,
      `proven on ${whole(pair.proven)} of ${searchesOf(DATA.n_searches)}, both sides`),
    liveLine(),
    simulatedLine(),
    check.done && check.equal < check.all && trustLine("bad", "this browser ranks differently",
      `only ${whole(check.equal)} of ${whole(check.all)} pages come out as in the replay`),
  ].filter(Boolean));
}
