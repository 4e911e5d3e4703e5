"use strict";
/* The formula of ranking/formula.py in the browser, rounding where the server rounds (Math.fround),
   then a ranking with its proven depth, then the measures of replay/measures.py. Nothing here touches the page. */

const DAY_MS = 86400000;

function mean(values) {
  let total = 0;
  let n = 0;
  for (const value of values) {
    if (value !== null && !Number.isNaN(value)) {
      total += value;
      n += 1;
    }
  }
  return n ? total / n : NaN;
}

/* ---- the formula ---------------------------------------------------------------------------- */

/** Freshness factor in [0, 1]; a document without a date has a factor of its own, 1 unless the profile says. */
function freshnessFactor(fresh, createdMs, nowMs) {
  if (!fresh) return 1;
  if (createdMs === null || Number.isNaN(createdMs)) return fresh.undated;
  const distance = Math.max(0, Math.abs(createdMs - nowMs) - fresh.offset_ms);
  const scale = fresh.scale_ms;
  if (fresh.curve === "gauss") {
    const shape = (0.5 * (scale * scale)) / fresh.ln_decay;
    return Math.exp((0.5 * (distance * distance)) / shape);
  }
  if (fresh.curve === "exp") return Math.exp((fresh.ln_decay / scale) * distance);
  const shape = scale / (1 - fresh.decay);
  return Math.max(0, (shape - distance) / shape);
}

/** Relevance and image together. function_score is a node of its own and casts to float32; a script does not. */
function combine(formula, rel, image) {
  const { mode, weight } = formula;
  if (mode === "none") return rel;
  if (formula.execution === "function_score") {
    const w = Math.fround(weight);
    if (mode === "additive") return Math.fround(rel + image * w);
    const factor = weight < 1 ? Math.fround(1 - weight) + image * w : image * w;
    return Math.fround(rel * factor);
  }
  if (mode === "additive") return rel + weight * image;
  return rel * (1 - weight + weight * image);
}

/** The score of its parts, multiplied in the order of the execution. */
function finish(formula, combined, fresh, factors) {
  if (formula.execution === "function_score") {
    return Math.fround(combined * factors.reduce((product, factor) => product * factor, fresh));
  }
  return Math.fround(factors.reduce((score, factor) => score * factor, combined * fresh));
}

/** Candidate i of a search. Where a formula has more than a plain image score, its terms came with the page. */
function scoreParts(formula, search, i, nowMs) {
  const rel = search.rels[i];
  const terms = formula.terms ? search.terms[formula.terms] : null;
  const imageScore = terms ? terms.image[i] : search.images[i];
  const image = Number.isNaN(imageScore) ? formula.missing : imageScore;
  const combined = combine(formula, rel, image);
  const fresh = freshnessFactor(formula.freshness, search.created[i], nowMs);
  const factors = terms ? terms.factors.map((column) => column[i]) : [];
  return { rel, image, combined, fresh, factors, final: finish(formula, combined, fresh, factors) };
}

/** The highest score of a document outside the capture: at most rel_floor relevant, all else at its maximum. */
function bound(formula, relFloor) {
  return finish(formula, combine(formula, Math.fround(relFloor), formula.highest_image), 1, formula.highest_factors);
}

/* ---- ranking and measures ------------------------------------------------------------------- */

/** One search under a formula at a clock: candidates best first, their ranks, and the proven depth. */
function rankSearch(search, formula, shiftMs) {
  const nowMs = search.now_ms + shiftMs;
  const n = search.item.length;
  const scores = new Float32Array(n);
  const order = [];
  const floor = search.rel_floor === null ? null : bound(formula, search.rel_floor);
  let exactK = 0;
  for (let i = 0; i < n; i += 1) {
    scores[i] = scoreParts(formula, search, i, nowMs).final;
    if (search.created[i] > nowMs) continue; // not there yet at this clock; false where there is no date
    order.push(i);
    if (floor === null || scores[i] > floor) exactK += 1;
  }
  order.sort((a, b) => scores[b] - scores[a] || search.item[a] - search.item[b]);
  const ranks = new Int32Array(n);
  order.forEach((i, place) => { ranks[i] = place + 1; });
  return { formula, nowMs, scores, order, ranks, exactK };
}

function ndcg(search, ranking, k) {
  if (!search.grade || !search.ideal) return NaN;
  let dcg = 0;
  ranking.order.slice(0, k).forEach((i, place) => {
    dcg += (search.grade[i] || 0) / Math.log2(place + 2);
  });
  return dcg / search.ideal;
}

/** A measure of one ranking by the name the replay gives it. */
function measureOf(name, search, ranking, pair) {
  const top = ranking.order.slice(0, pair.k);
  const kind = name.split("@")[0];
  if (kind === "nDCG") return ndcg(search, ranking, pair.k);
  if (kind === "image_score") return mean(top.map((i) => search.images[i]));
  if (kind === "age") return mean(top.map((i) => (ranking.nowMs - search.created[i]) / DAY_MS));
  return mean(top.map((i) => freshnessFactor(pair.curve, search.created[i], ranking.nowMs)));
}

function entered(before, after, k) {
  const kept = new Set(before.order.slice(0, k));
  return after.order.slice(0, k).filter((i) => !kept.has(i)).length;
}
