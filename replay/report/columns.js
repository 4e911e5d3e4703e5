/* The data of the page: columns of numbers stand in base64, and become typed arrays here. */

const DATA = JSON.parse(byId("data").textContent);
const ARRAYS = { f8: Float64Array, f4: Float32Array, u4: Uint32Array, u2: Uint16Array, u1: Uint8Array };
const NONE = { u2: 65535, u4: 4294967295 };

function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function unpack(column) {
  if (!column) return null;
  const numbers = new ARRAYS[column.type](bytesOf(column.data).buffer);
  if (!column.palette) return numbers;
  return Float64Array.from(numbers, (code) => (code < column.palette.length ? column.palette[code] : NaN));
}

/** Words by code: `word(i)` is null where there is none. */
function unpackCodes({ names, codes }) {
  const numbers = unpack(codes);
  const none = NONE[codes.type];
  return { names, codes: numbers, word: (i) => (numbers[i] === none ? null : names[numbers[i]]) };
}

const N = DATA.searches.n;
const ROWS = {
  ids: DATA.searches.search_id,
  query: unpackCodes(DATA.searches.query),
  platform: unpackCodes(DATA.searches.platform),
  profile: unpackCodes(DATA.searches.profile),
  profileHash: unpackCodes(DATA.searches.profile_hash),
  segments: Object.fromEntries(Object.entries(DATA.searches.segments).map(([name, codes]) => [name, unpackCodes(codes)])),
  nowMs: unpack(DATA.searches.now_ms),
  totalHits: unpack(DATA.searches.total_hits),
  relFloor: unpack(DATA.searches.rel_floor),
  ideal: unpack(DATA.searches.ideal),
  detailed: unpack(DATA.searches.detailed),
  nCandidates: unpack(DATA.searches.n_candidates),
  offsets: unpack(DATA.searches.offsets),
};
const CANDIDATES = {
  item: unpack(DATA.candidates.item),
  rels: unpack(DATA.candidates.rel),
  images: unpack(DATA.candidates.image_score),
  aiProbs: unpack(DATA.candidates.ai_prob),
  created: unpack(DATA.candidates.created_ms),
  grades: unpack(DATA.candidates.grade),
  columns: Object.fromEntries(Object.entries(DATA.candidates.columns).map(([name, column]) => {
    const codes = column.names ? unpackCodes(column) : null;
    const numbers = codes ? null : unpack(column);
    return [name, codes ? codes.word : (i) => numbers[i]];
  })),
};
const ITEMS = {
  price: unpack(DATA.items.price),
  category: unpackCodes(DATA.items.category),
  photo: unpack(DATA.items.photo),
};
const DETAILED = [];
for (let i = 0; i < N; i += 1) if (ROWS.detailed[i]) DETAILED.push(i);

for (const pair of DATA.comparisons) {
  for (const measure of pair.measures) {
    measure.before = unpack(measure.before);
    measure.after = unpack(measure.after);
  }
  pair.entered.values = unpack(pair.entered.values);
  for (const side of [pair.baseline, pair.contender]) {
    side.exact_k = unpack(side.exact_k);
    side.pages = unpack(side.pages);
    for (const formula of Object.values(side.formula)) {
      formula.key = JSON.stringify([formula.missing, formula.transform, formula.ai, formula.factors]);
    }
  }
}

const kept = new Map();

/** One listed search with its candidates. */
function searchAt(i) {
  const known = kept.get(i);
  if (known) return known;
  const [from, to] = [ROWS.offsets[i], ROWS.offsets[i + 1]];
  const part = (column) => (column ? column.subarray(from, to) : null);
  const search = {
    i,
    id: ROWS.ids[i],
    query: ROWS.query.word(i),
    platform: ROWS.platform.word(i),
    nowMs: ROWS.nowMs[i],
    relFloor: ROWS.relFloor[i],
    ideal: ROWS.ideal ? ROWS.ideal[i] : NaN,
    detailed: ROWS.detailed[i] === 1,
    item: part(CANDIDATES.item),
    rels: part(CANDIDATES.rels),
    images: part(CANDIDATES.images),
    aiProbs: part(CANDIDATES.aiProbs),
    created: part(CANDIDATES.created),
    grades: part(CANDIDATES.grades),
    columns: Object.fromEntries(Object.entries(CANDIDATES.columns).map(([name, read]) => [name, (p) => read(from + p)])),
    terms: new Map(),
  };
  if (search.detailed || kept.size < 2000) kept.set(i, search);
  return search;
}

function itemAt(place) {
  return {
    id: DATA.items.item_id[place],
    title: DATA.items.title[place],
    price: ITEMS.price[place],
    category: ITEMS.category.word(place),
    photo: DATA.photos[ITEMS.photo[place]] || null,
  };
}
