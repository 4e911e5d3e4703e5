/* One item taken apart, under both profiles: the sum, and the rank at each step of it. */

import { confirmed, bench } from "/assets/state.js";

const STAGES = [
  ["relevance", () => true, (parts) => parts.rel],
  ["image", (formula) => formula.mode !== "none", (parts) => parts.combined],
  ["freshness", (formula) => Boolean(formula.freshness), (parts) => parts.combined * parts.fresh],
  ["factors", (formula) => formula.factors.length > 0, (parts) => parts.final],
];

/** The rank of candidate i after each step, among the same candidates; ties go to the item's id. */
function steps(side, ranking, i) {
  const { search } = side;
  const all = ranking.order.map((p) => [p, scoreParts(ranking.formula, search, p, ranking.nowMs)]);
  const stages = STAGES.filter(([, has]) => has(ranking.formula));
  return stages.map(([name, , read], s) => {
    const last = s === stages.length - 1;
    if (last) return [name, ranking.ranks[i]];
    const keys = new Map(all.map(([p, parts]) => [p, Math.fround(read(parts))]));
    const mine = keys.get(i);
    const above = all.filter(([p]) => keys.get(p) > mine || (keys.get(p) === mine && search.item[p] < search.item[i]));
    return [name, above.length + 1];
  });
}

function servedLine(side, ranking, i) {
  const at = ranking.equal === null ? -1 : side.found.items.indexOf(side.search.item[i]);
  if (at < 0) return null;
  const served = Number(side.found.scores[at]);
  const whose = bench.answer.kind === "live" ? "Elasticsearch" : "the replay";
  return served === ranking.scores[i] ? `${whose} has the same score, bit for bit` : `${whose} has ${served}, this browser ${ranking.scores[i]}`;
}

function column(side, ranking, place) {
  const i = side.search.item.indexOf(place);
  if (i < 0 || !ranking.ranks[i]) {
    return h("section", {}, h("h3", {}, words(side.label)), h("p", { class: "faint" }, "Not among this side's candidates."));
  }
  const parts = scoreParts(ranking.formula, side.search, i, ranking.nowMs);
  return h("section", {},
    h("h3", {}, words(side.label), " ", h("small", {}, `rank ${ranking.ranks[i]}`)),
    h("dl", { class: "sum" }, arithmetic(parts, ranking.formula, side.search.images[i]).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    h("p", { class: "steps" }, "rank by ", steps(side, ranking, i).flatMap(([name, rank], s) => [s ? " → " : "", `${name} `, h("b", {}, String(rank))]),
      h("small", {}, ` among ${whole(ranking.order.length)} candidates`)),
    servedLine(side, ranking, i) && h("p", { class: "faint" }, servedLine(side, ranking, i)));
}

/** Opens the dialog; the focus comes back to the tile when it closes. */
export function explain(item, { before, after }, face) {
  hideTip();
  const { sides, item_ids } = bench.answer;
  const place = item_ids.indexOf(item);
  const card = bench.items.get(item);
  const [one, two] = sides;
  const known = [two, one].map((side) => [side.search, side.search.item.indexOf(place)]).find(([, i]) => i >= 0);
  const [search, i] = known;
  const dated = Number.isNaN(search.created[i]) ? "no date" : `listed ${new Date(search.created[i]).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const ai = search.aiProbs[i];
  const facts = [item, card?.category, Number.isNaN(search.prices[i]) ? null : whole(search.prices[i]), dated,
    Number.isNaN(ai) ? null : `probably generated: ${fixed(ai, 2)}`].filter(Boolean);
  byId("explained").replaceChildren(
    h("div", { class: "who" },
      card?.photo ? h("img", { src: `/photo?item=${encodeURIComponent(item)}`, alt: "", width: 120, height: 120 }) : null,
      h("div", {}, h("h2", { id: "explained-title" }, words(card?.title || item)), h("p", { class: "faint" }, words(facts.join(" · "))),
        !confirmed() && h("p", { class: "faint" }, "With the sliders as they are now, ranked in this browser."))),
    h("div", { class: "both" }, column(one, before, place), column(two, after, place)),
    h("form", { method: "dialog" }, h("button", {}, "Close")));
  byId("explained").addEventListener("close", () => face.isConnected && face.focus(), { once: true });
  byId("explained").showModal();
}
