/* A ranking of one search, and the measures of replay/measures on it. Nothing here touches the page. */

const NO_FACTORS = [];

/** The scores of all candidates, and how many are proven to outrank whatever was not captured. */
function scoresOf(search, formula, nowMs) {
  const n = search.item.length;
  const scores = new Float32Array(n);
  const { images, factors } = termsOf(search, formula);
  const row = factors.length ? new Array(factors.length) : NO_FACTORS;
  const floor = Number.isNaN(search.relFloor) ? -Infinity : bound(formula, search.relFloor);
  let exactK = 0;
  for (let i = 0; i < n; i += 1) {
    for (let f = 0; f < row.length; f += 1) row[f] = factors[f][i];
    const fresh = freshnessFactor(formula.freshness, search.created[i], nowMs);
    scores[i] = finish(formula, combine(formula, search.rels[i], images[i]), fresh, row);
    if (!(search.created[i] > nowMs) && (scores[i] > floor || floor === -Infinity)) exactK += 1;
  }
  return { scores, exactK };
}

/** What is sorted by: a score that is not known (an imported page without relevance) comes after every other. */
function sortable(scores) {
  return scores.some(Number.isNaN) ? scores.map((score) => (Number.isNaN(score) ? -Infinity : score)) : scores;
}

/** One search under a formula at a clock: candidates best first, their ranks, and the proven depth. */
function rankSearch(search, formula, shiftMs) {
  const nowMs = search.nowMs + shiftMs;
  const { scores, exactK } = scoresOf(search, formula, nowMs);
  const order = [];
  for (let i = 0; i < scores.length; i += 1) {
    if (!(search.created[i] > nowMs)) order.push(i); // else not there yet at this clock; no date counts as there
  }
  const keys = sortable(scores);
  order.sort((a, b) => (keys[a] === keys[b] ? search.item[a] - search.item[b] : keys[b] - keys[a]));
  const ranks = new Int32Array(scores.length);
  order.forEach((i, place) => { ranks[i] = place + 1; });
  return { formula, nowMs, scores, order, ranks, exactK };
}

/** The first k only, for many searches per frame: an insertion into k places instead of a sort. */
function topOf(search, formula, shiftMs, k) {
  const nowMs = search.nowMs + shiftMs;
  const { scores, exactK } = scoresOf(search, formula, nowMs);
  const keys = sortable(scores);
  const order = [];
  for (let i = 0; i < keys.length; i += 1) {
    if (search.created[i] > nowMs) continue;
    const score = keys[i];
    let place = order.length;
    if (place === k) {
      const last = order[k - 1];
      if (score < keys[last] || (score === keys[last] && search.item[i] > search.item[last])) continue;
      place -= 1;
    }
    while (place > 0) {
      const above = order[place - 1];
      if (keys[above] > score || (keys[above] === score && search.item[above] < search.item[i])) break;
      order[place] = above;
      place -= 1;
    }
    order[place] = i;
  }
  return { formula, nowMs, scores, order, exactK };
}

/* ---- measures ------------------------------------------------------------------------------- */

function ndcg(search, ranking, k) {
  if (!search.grades || !(search.ideal > 0)) return NaN;
  let dcg = 0;
  for (let place = 0; place < Math.min(k, ranking.order.length); place += 1) {
    dcg += (search.grades[ranking.order[place]] || 0) / Math.log2(place + 2);
  }
  return dcg / search.ideal;
}

/** The measures that this page can take of a new ranking, by the name the replay gives them. */
const MEASURES = {
  nDCG: (search, ranking, pair) => ndcg(search, ranking, pair.k),
  image_score: (search, ranking, pair) => mean(ranking.order.slice(0, pair.k).map((i) => search.images[i])),
  age: (search, ranking, pair) =>
    mean(ranking.order.slice(0, pair.k).map((i) => (ranking.nowMs - search.created[i]) / DAY_MS)),
  freshness: (search, ranking, pair) =>
    mean(ranking.order.slice(0, pair.k).map((i) => freshnessFactor(pair.curve, search.created[i], ranking.nowMs))),
};

function measureOf(name, search, ranking, pair) {
  const [kind, k] = name.split("@");
  return Object.hasOwn(MEASURES, kind) && Number(k) === pair.k ? MEASURES[kind](search, ranking, pair) : NaN;
}

function entered(before, after, k) {
  const kept = new Set(before.slice(0, k));
  let n = 0;
  for (const i of after.slice(0, k)) if (!kept.has(i)) n += 1;
  return n;
}
