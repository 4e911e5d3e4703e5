/* An answer of the server as two searches that ranking.js can rank, and their rankings. */

import { bench, confirmed, labFormula } from "/assets/state.js";

const floats = (values) => Float64Array.from(values, (value) => (value === null ? NaN : Number(value)));

function readFormula(formula) {
  formula.key = JSON.stringify([formula.missing, formula.transform, formula.ai, formula.factors]);
  return formula;
}

function readSide(side, clockMs) {
  const { candidates } = side;
  const columns = Object.entries(candidates.columns).map(([name, { kind, values }]) => {
    const read = kind === "keyword" ? values : floats(values);
    return [name, (i) => read[i]];
  });
  return {
    ...side,
    formula: readFormula(side.formula),
    own: readFormula(side.own),
    search: {
      item: Uint32Array.from(candidates.item),
      rels: Float32Array.from(floats(candidates.rel)),
      images: Float32Array.from(floats(candidates.image_score)),
      aiProbs: floats(candidates.ai_prob),
      created: floats(candidates.created_ms),
      prices: floats(candidates.price),
      columns: Object.fromEntries(columns),
      relFloor: side.rel_floor === null ? NaN : Number(side.rel_floor),
      nowMs: clockMs,
      terms: new Map(),
    },
  };
}

/** The server's JSON with typed arrays; `asked` are the settings it was asked with. */
export function readAnswer(answer, asked) {
  const clockMs = answer.now_ms - asked.shift;
  return { ...answer, asked, clockMs, sides: answer.sides.map((side) => readSide(side, clockMs)) };
}

/** A side under a formula: where the settings were asked for, its first places are those that were found. */
function rankSide(side, formula, asServed) {
  const ranking = rankSearch(side.search, formula, bench.shift);
  if (!asServed) return { ...ranking, equal: null, bits: null };
  const at = new Map();
  side.search.item.forEach((place, i) => at.set(place, i));
  const found = side.found.items.map((place) => at.get(place));
  const equal = found.filter((i, place) => ranking.order[place] === i).length;
  const bits = found.filter((i, place) => ranking.scores[i] === Number(side.found.scores[place])).length;
  const first = new Set(found);
  const order = [...found, ...ranking.order.filter((i) => !first.has(i))];
  const ranks = new Int32Array(ranking.ranks.length);
  order.forEach((i, place) => { ranks[i] = place + 1; });
  return { ...ranking, order, ranks, equal, bits };
}

/** Both rankings as they are shown now. `other[i]` of a side is the rank of its candidate i on the other side. */
export function rankBoth() {
  const [one, two] = bench.answer.sides;
  const settled = confirmed();
  const before = rankSide(one, one.formula, bench.answer.asked.shift === bench.shift);
  const after = rankSide(two, labFormula(), settled);
  return { before: { ...before, other: crossed(one, two, after) }, after: { ...after, other: crossed(two, one, before) } };
}

function crossed(here, there, ranking) {
  const ranks = new Map();
  there.search.item.forEach((place, i) => ranks.set(place, ranking.ranks[i]));
  return Int32Array.from(here.search.item, (place) => ranks.get(place) || 0);
}

/** How far a side is exact: the text of its chip, whether that is the whole page, and why. */
export function exactness(side, ranking, k) {
  const n = Math.min(k, ranking.order.length);
  const served = ranking.equal !== null;
  const live = bench.answer.kind === "live";
  if (served && live) {
    const same = ranking.bits === side.found.items.length;
    return [`as served: ${n} of ${n}`, true, same
      ? "Elasticsearch's own ranking; this browser computes each of its scores, bit for bit"
      : `Elasticsearch's own ranking; this browser computes ${ranking.bits} of its ${n} scores bit for bit`];
  }
  const proven = Math.min(n, served ? side.found.exact_k : ranking.exactK);
  const whole = proven >= n;
  const later = bench.shift > 0 ? "; items dated after the first clock are not among the candidates" : "";
  if (served) return [`replayed: exact to ${proven} of ${n}`, whole, `Down to here, nothing outside the capture could have entered${later}`];
  return [`in this browser: exact to ${proven} of ${n}`, whole && !(live && later),
    `Ranked from ${ranking.order.length} candidates; down to here, nothing outside them could have entered${later}`];
}
