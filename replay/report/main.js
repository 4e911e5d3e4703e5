/* Profiles, keys, download, and the start. */

function renderProfiles() {
  const pair = pairNow();
  const rows = pair.profiles.filter(([, , , differs]) => differs).map(([key, one, two]) =>
    h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, words(one)), h("td", {}, words(two))));
  const heads = [pair.baseline, pair.contender].map((side) => h("th", { scope: "col" }, side.label, h("small", {}, side.hash)));
  byId("profile-table").replaceChildren(
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "differs in"), heads)),
    h("tbody", {}, rows.length ? rows : h("tr", {}, h("td", { colspan: 3 }, "nothing: the two profiles are equal"))));
  byId("profile-same").replaceChildren("Equal: ", ...pair.profiles.filter(([, , , differs]) => !differs)
    .map(([key, one]) => h("span", {}, key, " ", h("b", {}, words(one)))));
}

/** The figures and every listed search as plain JSON, without photos and candidates. */
function plainData() {
  const number = (value) => (absent(value) ? null : value);
  const { searches, candidates, items, photos, comparisons, ...head } = DATA;
  return {
    ...head,
    comparisons: comparisons.map(({ measures, baseline, contender, entered: { values, ...changed }, ...pair }) => ({
      ...pair,
      baseline: { ...baseline, exact_k: undefined, pages: undefined },
      contender: { ...contender, exact_k: undefined, pages: undefined },
      entered: changed,
      measures: measures.map(({ before, after, ...measure }) => measure),
      searches: ROWS.ids.map((id, i) => ({
        search_id: id, query: ROWS.query.word(i), platform: ROWS.platform.word(i), now_ms: ROWS.nowMs[i],
        exact_k: Math.min(baseline.exact_k[i], contender.exact_k[i]), entered: values[i],
        measures: Object.fromEntries(measures.map((measure) => [measure.name, [number(measure.before[i]), number(measure.after[i])]])),
      })),
    })),
  };
}

function download() {
  const link = h("a", {
    href: URL.createObjectURL(new Blob([JSON.stringify(plainData())], { type: "application/json" })),
    download: "replay-report.json",
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/* ---- keys ----------------------------------------------------------------------------------- */

let singleKeys = true; // may be switched off: a key that a screen reader or a voice types by itself
const KEYS = [
  ["/", "filter searches", () => byId("filter").focus()],
  ["j", "next search", () => step(1)],
  ["k", "previous search", () => step(-1)],
  ["n", "next comparison", () => choosePair((state.pair + 1) % DATA.comparisons.length)],
  ["r", "reset the sliders", () => resetLab()],
  ["t", "light or dark", () => toggleTheme()],
  ["?", "this help", () => showHelp()],
];

function renderHelp() {
  const toggle = h("input", { type: "checkbox", checked: true, onchange: () => { singleKeys = toggle.checked; } });
  byId("help").replaceChildren(
    h("h2", { id: "help-title" }, "Keys"),
    h("dl", {}, [...KEYS, ["↑ ↓ Home End", "walk the list of searches, once it has focus"], ["← →", "move a slider, once it has focus"], ["Esc", "close this, hide a tip"]]
      .flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
    h("label", {}, toggle, " single keys are on"),
    h("form", { method: "dialog" }, h("button", {}, "Close")));
}

const showHelp = () => byId("help").showModal();

function pageKeys(event) {
  if (event.key === "Escape") hideTip();
  const typing = event.target.matches?.("input:not([type=range]), select, textarea");
  if (typing || !singleKeys || event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const found = KEYS.find(([key]) => key === event.key);
  if (!found) return;
  event.preventDefault();
  found[2]();
}

/* ---- start ---------------------------------------------------------------------------------- */

function choosePair(i) {
  const names = () => pairNow().measures.map(({ name }) => name).join();
  const earlier = names();
  Object.assign(state, { pair: i, lab: { ...UNTOUCHED } });
  if (names() !== earlier) state.measure = inOrder(pairNow().measures)[0][1];
  renderAll();
  byId("pairs").querySelector("[aria-pressed=true]")?.focus({ preventScroll: true });
}

function renderAll() {
  applyLab();
  renderHeader();
  renderVerdict();
  renderTrust();
  renderMeasures();
  renderDistributions();
  renderLab();
  renderTotals();
  renderLabNote();
  renderFilters();
  renderList(false);
  renderDetail();
  renderProfiles();
}

function start() {
  state.measure = inOrder(pairNow().measures)[0][1];
  state.selected = (listRows().find((row) => ROWS.detailed[row.i]) || { i: 0 }).i;
  renderChecks();
  renderAll();
  renderHelp();
  byId("list").addEventListener("keydown", listKeys);
  byId("list").addEventListener("scroll", () => requestAnimationFrame(measureList), { passive: true });
  new ResizeObserver(() => requestAnimationFrame(measureList)).observe(byId("list"));
  byId("lab").addEventListener("submit", (event) => event.preventDefault());
  byId("theme").addEventListener("click", toggleTheme);
  byId("keys").addEventListener("click", showHelp);
  byId("download").addEventListener("click", download);
  document.addEventListener("keydown", pageKeys);
  addEventListener("scroll", hideTip, { passive: true });
  performance.mark("ready");
  selfCheck(() => {
    renderTrust();
    renderLabNote();
    document.documentElement.dataset.checked = "yes";
  });
}

start();
