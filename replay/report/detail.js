/* One search: both pages as people see them, and under each photo what its score is made of. */

function chip(text, kind, title) {
  return h("span", { class: `chip ${kind || ""}`, title }, text);
}

function exactChip(search, before, after) {
  const { k } = pairNow();
  const proven = exactDepth(search, before, after);
  const n = ROWS.nCandidates[search.i];
  return chip(proven >= n ? "exact: all matches" : `exact to ${whole(proven)}`, proven >= Math.min(k, n) ? "good" : "bad",
    "Down to here no item outside the log could have entered, on either side");
}

const MOST_PHOTOS = 400;
const photos = new Map(); // elements that are used again, so that nothing is decoded or flickers while a slider moves

/** The photo of an item on one side; an element stands in one place, so each side has its own. */
function photoOf(item, place, isContender) {
  if (!item.photo) return h("span", { class: "nophoto" }, words(item.title || item.id));
  const key = `${place}${isContender ? "+" : "-"}`;
  if (photos.size > MOST_PHOTOS) photos.clear();
  if (!photos.has(key)) photos.set(key, h("img", { src: item.photo, alt: "", width: 160, height: 160 }));
  return photos.get(key);
}

function tile(search, ranking, other, i, rank, longest, isContender) {
  const { k } = pairNow();
  const item = itemAt(search.item[i]);
  const parts = scoreParts(ranking.formula, search, i, ranking.nowMs);
  const unscored = Number.isNaN(search.images[i]);
  const [text, kind, spoken] = isContender ? moveMark(rank, other.ranks[i], k)
    : other.ranks[i] && other.ranks[i] <= k ? ["", "", ""] : ["out", "out", "leaves the page"];
  const [green, warm] = shares(parts, ranking.formula);
  const bar = h("span", { class: "bar", vars: { rel: Math.max(0, green) / longest, img: Math.max(0, warm) / longest } },
    h("i", { class: "rel" }), h("i", { class: "img" }));
  const age = Number.isNaN(search.created[i]) ? "no date" : `${Math.max(0, Math.floor((ranking.nowMs - search.created[i]) / DAY_MS))} d`;
  const price = Number.isNaN(item.price) ? "" : DATA.currency + whole(item.price);
  const grade = search.grades && (Number.isNaN(search.grades[i]) ? "unjudged" : `grade ${search.grades[i]}`);
  const name = item.title || item.id;
  const show = (event) => showItem(event.currentTarget, item, search.item[i],
    arithmetic(parts, ranking.formula, search.images[i]), [price, age, grade]);
  return h("li", { class: "tile", "data-item": search.item[i] }, h("button", {
    type: "button", class: "face", ...withTip(show), onclick: show,
    "aria-label": `rank ${rank}${spoken && `, ${spoken}`}: ${name}; score ${fixed(parts.final, 2)}, relevance ${fixed(parts.rel, 2)}, ` +
      `image ${unscored ? "unscored" : fixed(search.images[i], 2)}, freshness ${fixed(parts.fresh, 2)}, ${price || "no price"}, ${age}`,
  },
  h("span", { class: "photo" }, photoOf(item, search.item[i], isContender), h("span", { class: "rank" }, rank), text && h("span", { class: `move ${kind}` }, text)),
  bar,
  h("span", { class: "numbers" }, h("b", {}, fixed(parts.final, 2)), h("span", { class: "warm" }, unscored ? "–" : fixed(search.images[i], 2))),
  h("span", { class: "numbers faint" }, h("span", {}, price), h("span", {}, age))));
}

function grid(search, ranking, other, isContender, longest) {
  const pair = pairNow();
  const [[{ name }, m]] = inOrder(pair.measures);
  const value = valuesOf(search.i, m)[isContender ? 1 : 0];
  const label = isContender && touched() && search.detailed
    ? `your settings: ${settingsText(search)}` : pair[isContender ? "contender" : "baseline"].label;
  const tiles = ranking.order.slice(0, pair.k).map((p, place) => tile(search, ranking, other, p, place + 1, longest, isContender));
  return h("section", { class: "side", "aria-label": label },
    h("h3", {}, h("span", {}, label), h("small", {}, `${nameOf(name)} ${fixed(value, 3)}`)),
    tiles.length ? h("ol", { class: "grid" }, tiles) : h("p", { class: "empty" }, "No item at this clock."));
}

function settingsText(search) {
  const { mode, weight, freshness } = labFormula(search.platform);
  const boost = mode === "none" ? "no boost" : `${mode} w ${Number(weight.toFixed(2))}`;
  const shift = labShift();
  return [boost, freshness && `${freshness.curve} ${dayText(freshness.scale_ms)}`, shift && `clock ${shiftText(shift)}`].filter(Boolean).join(", ");
}

function detailHead(search, before, after) {
  const { i } = search;
  const hash = ROWS.profileHash.word(i);
  const segments = Object.entries(ROWS.segments).filter(([name]) => name !== "platform")
    .map(([name, codes]) => codes.word(i) && chip(codes.word(i), "", name));
  return h("header", { class: "head" },
    h("h3", { class: "asked" }, words(search.query || "(no text)")),
    search.platform && chip(search.platform, "", "platform"), segments, chip(timeText(search.nowMs), "", `search ${search.id}`),
    exactChip(search, before, after),
    hash && chip(`served: ${DATA.served[hash] || ROWS.profile.word(i)}`, "", `profile ${hash}`),
    !Number.isNaN(ROWS.totalHits[i]) && chip(plural(ROWS.totalHits[i], "hit")));
}

function pager(i) {
  const at = listed.findIndex((row) => row.i === i);
  return h("div", { class: "pager" },
    h("button", { type: "button", "aria-label": "Previous search", onclick: () => step(-1) }, "‹"),
    h("span", {}, at < 0 ? "" : `${whole(at + 1)} / ${whole(listed.length)}`),
    h("button", { type: "button", "aria-label": "Next search", onclick: () => step(1) }, "›"));
}

function renderDetail() {
  const search = searchAt(state.selected);
  const [before, after] = [rankBaseline(search), rankContender(search)];
  const { k } = pairNow();
  const tops = [before, after].flatMap((ranking) => ranking.order.slice(0, k).map((p) => ranking.scores[p] || 0));
  const longest = Math.max(...tops, 1e-9);
  byId("detail").replaceChildren(
    detailHead(search, before, after),
    h("div", { class: "legend" }, h("i", { class: "rel" }), "relevance × freshness", h("i", { class: "img" }), "image",
      !search.detailed && h("span", {}, " · carries its two pages only: sliders do not reach it"), pager(search.i)),
    h("div", { class: "sides" }, grid(search, before, after, false, longest), grid(search, after, before, true, longest)),
    ...(search.detailed ? [scatter(search, before, after)] : []));
  linkStrips();
}

let scrolled = 0; // kept here: to ask the page would make it lay itself out, at each move of a slider

/** On a phone the two pages are strips that scroll together. */
function linkStrips() {
  const strips = [...byId("detail").querySelectorAll(".grid")];
  for (const strip of strips) {
    if (scrolled) strip.scrollLeft = scrolled;
    strip.addEventListener("scroll", () => {
      scrolled = strip.scrollLeft;
      for (const other of strips) if (other !== strip && other.scrollLeft !== strip.scrollLeft) other.scrollLeft = strip.scrollLeft;
    }, { passive: true });
  }
}
