/* What the reader has chosen, and what follows from it: formulas, rankings, values, the self-check. */

const UNTOUCHED = { mode: null, weight: null, scale: null, shift: null };
const state = {
  pair: 0, lab: { ...UNTOUCHED }, measure: 0, dimension: "platform", sort: "change", rows: "searches",
  only: {}, filter: "", selected: 0,
};
let moved = new Map(); // with sliders moved: values and entered of each detailed search

const pairNow = () => DATA.comparisons[state.pair];
const touched = () => Object.values(state.lab).some((value) => value !== null);

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
  if (!touched()) return own;
  const { mode: asked, weight, scale } = state.lab;
  const mode = asked === null ? own.mode : asked;
  const usual = mode === own.mode ? own.weight : usualWeight(mode);
  const freshness = own.freshness && scale !== null ? { ...own.freshness, scale_ms: scale } : own.freshness;
  return { ...own, mode, weight: weight === null ? usual : weight, freshness };
}

const labShift = () => (state.lab.shift === null ? pairNow().contender.clock_shift_ms : state.lab.shift);
const baselineFormula = (search) => pairNow().baseline.formula[search.platform || ""];

const rankBaseline = (search) => rankSearch(search, baselineFormula(search), pairNow().baseline.clock_shift_ms);

/** The contender's ranking, or that of the sliders where the search carries all its candidates. */
function rankContender(search) {
  const { contender } = pairNow();
  if (search.detailed) return rankSearch(search, labFormula(search.platform), labShift());
  return rankSearch(search, contender.formula[search.platform || ""], contender.clock_shift_ms);
}

/** The first page that the replay found, as places among the search's candidates. */
function foundPage(side, i) {
  const { k } = pairNow();
  const page = [];
  for (let place = i * k; place < (i + 1) * k && side.pages[place] !== NONE.u2; place += 1) page.push(side.pages[place]);
  return page;
}

/** Ranks every detailed search under the sliders. */
function applyLab() {
  moved = new Map();
  if (!touched()) return;
  const pair = pairNow();
  for (const i of DETAILED) {
    const search = searchAt(i);
    const ranking = topOf(search, labFormula(search.platform), labShift(), pair.k);
    moved.set(i, {
      values: pair.measures.map(({ name }) => measureOf(name, search, ranking, pair)),
      entered: entered(foundPage(pair.baseline, i), ranking.order, pair.k),
      proven: ranking.exactK >= Math.min(pair.k, search.item.length),
    });
  }
}

/** Before and after of measure m; the after is that of the sliders once they moved. */
function valuesOf(i, m) {
  const measure = pairNow().measures[m];
  const now = moved.get(i);
  return [measure.before[i], now ? now.values[m] : touched() ? NaN : measure.after[i]];
}

const enteredOf = (i) => (moved.has(i) ? moved.get(i).entered : pairNow().entered.values[i]);

/** Proven depth of a search on both sides, as the replay found it or as the sliders have it. */
function exactDepth(search, before, after) {
  const pair = pairNow();
  if (search.detailed) return Math.min(before.exactK, after.exactK);
  return Math.min(pair.baseline.exact_k[search.i], pair.contender.exact_k[search.i]);
}

/* ---- the self-check ------------------------------------------------------------------------- */

const check = { equal: 0, all: 0, done: false };

function checkSearch(i) {
  const search = searchAt(i);
  for (const pair of DATA.comparisons) {
    for (const side of [pair.baseline, pair.contender]) {
      const ranking = topOf(search, side.formula[search.platform || ""], side.clock_shift_ms, pair.k);
      let alike = !search.detailed || ranking.exactK === side.exact_k[i];
      for (let place = 0; place < pair.k && alike; place += 1) {
        const found = side.pages[i * pair.k + place];
        alike = place < ranking.order.length ? found === ranking.order[place] : found === NONE.u2;
      }
      check.equal += alike ? 1 : 0;
      check.all += 1;
    }
  }
}

/** Ranks every page of the file again and compares it with the replay's, a few milliseconds at a time. */
function selfCheck(whenDone) {
  let i = 0;
  function slice() {
    const until = performance.now() + 8;
    while (i < N && performance.now() < until) {
      checkSearch(i);
      i += 1;
    }
    if (i < N) setTimeout(slice);
    else {
      check.done = true;
      whenDone();
    }
  }
  setTimeout(slice, 60);
}
