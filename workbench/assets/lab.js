/* The sliders: mode, weight and freshness scale of the contender, and the clock of both sides. */

import { UNTOUCHED, bench, labFormula, touched } from "/assets/state.js";

const SHIFT_DAYS = [-7, 30];

/** The weight a mode starts with: that of the baseline or of a shipped profile with this mode. */
function usualWeight(mode) {
  const shipped = bench.start.profiles.filter((one) => one.source === "shipped");
  const found = [bench.answer.sides[0].own, ...shipped].find((one) => one.mode === mode);
  return found ? found.weight : 1;
}

export function renderLab(onmove) {
  const formula = labFormula();
  const share = formula.mode === "multiplicative";
  const boosted = formula.mode !== "none";
  const { own } = bench.answer.sides[1];
  const change = (what) => {
    Object.assign(bench.lab, what);
    onmove();
  };
  const choose = (mode) => {
    const back = mode === own.mode;
    Object.assign(bench.lab, { mode: back ? null : mode, weight: back ? null : usualWeight(mode) });
    renderLab(onmove);
    onmove();
    byId("lab").querySelector("[aria-pressed=true]").focus();
  };
  const fresh = () => labFormula().freshness;
  const top = share ? 1 : Math.max(10, 2 * own.weight);
  const weight = slider("image weight", { min: 0, max: top, step: share ? 0.05 : 0.1, disabled: !boosted }, formula.weight,
    () => (boosted ? String(Number(labFormula().weight.toFixed(2))) : "off"), (value) => change({ weight: value }));
  const scale = slider("freshness scale", { min: 1, max: 90, step: 1, disabled: !own.freshness },
    (fresh()?.scale_ms ?? DAY_MS) / DAY_MS, () => (fresh() ? dayText(fresh().scale_ms) : "no freshness"),
    (value) => change({ scale_ms: value * DAY_MS }));
  const shift = slider("clock", { min: SHIFT_DAYS[0], max: SHIFT_DAYS[1], step: 1 }, bench.shift / DAY_MS,
    () => (bench.shift ? shiftText(bench.shift) : bench.view === "captures" ? "as logged" : "as asked"), (value) => {
      bench.shift = value * DAY_MS;
      onmove();
    });
  const reset = h("button", { type: "button", id: "reset", onclick: () => resetLab(onmove) }, "reset");
  byId("lab").replaceChildren(modeButtons([formula.mode], choose), weight, scale, shift,
    h("div", { class: "totals", id: "totals" }), reset);
}

export function resetLab(onmove) {
  bench.lab = { ...UNTOUCHED };
  bench.shift = 0;
  renderLab(onmove);
  onmove();
  byId("lab").querySelector("[aria-pressed=true]").focus();
}

const AI_ABOVE = 0.5;

/** Means of both pages, before and after. */
export function renderTotals({ before, after }, k) {
  const [one, two] = bench.answer.sides;
  const means = (read, digits, unit = "") => {
    const [from, to] = [[one, before], [two, after]].map(([side, ranking]) =>
      fixed(mean(ranking.order.slice(0, k).map((i) => read(side.search, i, ranking))), digits));
    return h("span", { class: "nowrap" }, `${from} → `, h("b", {}, to), unit);
  };
  const entered = after.order.slice(0, k).filter((i) => !after.other[i] || after.other[i] > k).length;
  const ai = [[one, before], [two, after]].some(([side, ranking]) =>
    ranking.order.slice(0, k).some((i) => side.search.aiProbs[i] > AI_ABOVE));
  byId("totals").replaceChildren(
    h("span", {}, h("b", {}, `${entered} of ${Math.min(k, after.order.length)}`), " items change"),
    h("span", {}, "image score ", means((search, i) => search.images[i], 3)),
    h("span", {}, "age ", means((search, i, ranking) => (ranking.nowMs - search.created[i]) / DAY_MS, 1, " d")),
    ...(ai ? [h("span", {}, "AI photos ", means((search, i) => 100 * (search.aiProbs[i] > AI_ABOVE), 0, " %"))] : []));
  byId("reset").disabled = !touched();
}
