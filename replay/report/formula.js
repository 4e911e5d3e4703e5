/* The formula of ranking/formula.py in the browser, rounding where the server rounds (Math.fround).
   Nothing here touches the page. `formula` is what replay/report/formulas.py writes. */

/** Freshness factor in [0, 1]; a document without a date has a factor of its own, 1 unless the profile says. */
function freshnessFactor(fresh, createdMs, nowMs) {
  if (!fresh) return 1;
  if (Number.isNaN(createdMs)) return fresh.undated;
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

function transformed(transform, x) {
  if (transform.type === "power") return Math.pow(x, transform.exponent);
  if (transform.type === "sigmoid") return 1 / (1 + Math.exp(-transform.steepness * (x - transform.center)));
  if (transform.type === "piecewise") {
    const [first, last] = [transform.points[0], transform.points[transform.points.length - 1]];
    if (x <= first[0]) return first[1];
    for (const [x0, y0, slope, x1] of transform.pieces) if (x < x1) return y0 + slope * (x - x0);
    return last[1];
  }
  return x;
}

/** The image term: `missing` where unscored, then the AI rule, then the transform. */
function imageTerm(formula, imageScore, aiProb) {
  let x = Number.isNaN(imageScore) ? formula.missing : imageScore;
  const { ai } = formula;
  if (ai && aiProb > ai.above) x = ai.cap === null ? ai.neutral : Math.min(x, ai.cap);
  return transformed(formula.transform, x);
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
    let product = fresh;
    for (const factor of factors) product *= factor;
    return Math.fround(combined * product);
  }
  let score = combined * fresh;
  for (const factor of factors) score *= factor;
  return Math.fround(score);
}

/* ---- factors: their weights are already cast as the execution casts them -------------------- */

const MODIFIERS = {
  none: (x) => x,
  log1p: (x) => Math.log10(x + 1),
  ln1p: (x) => Math.log1p(x),
  log2p: (x) => Math.log10(x + 2),
  sqrt: (x) => Math.sqrt(x),
  square: (x) => x * x,
  reciprocal: (x) => 1 / x,
};

function factorValue(factor, value) {
  if (factor.type === "category") {
    return value !== null && Object.hasOwn(factor.weights, value) ? factor.weights[value] : factor.default;
  }
  if (factor.type === "numeric") {
    const x = Math.max((Number.isNaN(value) ? factor.missing : value) * factor.factor, 0);
    return Math.min(Math.max(MODIFIERS[factor.modifier](x), factor.min), factor.max);
  }
  const applies = factor.any_of
    ? factor.any_of.includes(value)
    : !Number.isNaN(value) && (factor.gte === null || value >= factor.gte) && (factor.lt === null || value < factor.lt);
  return applies ? factor.weight : 1;
}

/** Image terms and factors of all candidates of a search: what no slider moves. Kept while the search is. */
function termsOf(search, formula) {
  const known = search.terms.get(formula.key);
  if (known) return known;
  const n = search.item.length;
  const images = new Float64Array(n);
  for (let i = 0; i < n; i += 1) images[i] = imageTerm(formula, search.images[i], search.aiProbs ? search.aiProbs[i] : NaN);
  const factors = formula.factors.map((factor) => {
    const read = search.columns[factor.field];
    return Float64Array.from({ length: n }, (_, i) => factorValue(factor, read(i)));
  });
  const terms = { images, factors };
  search.terms.set(formula.key, terms);
  return terms;
}

/** Candidate i of a search, taken apart. */
function scoreParts(formula, search, i, nowMs) {
  const terms = termsOf(search, formula);
  const [rel, image] = [search.rels[i], terms.images[i]];
  const combined = combine(formula, rel, image);
  const fresh = freshnessFactor(formula.freshness, search.created[i], nowMs);
  const factors = terms.factors.map((column) => column[i]);
  return { rel, image, combined, fresh, factors, final: finish(formula, combined, fresh, factors) };
}

/** The highest score of a document outside the capture: at most rel_floor relevant, all else at its maximum. */
function bound(formula, relFloor) {
  const highest = formula.factors.map((factor) => factor.highest);
  return finish(formula, combine(formula, Math.fround(relFloor), formula.highest_image), 1, highest);
}
