/* Both pages side by side, ranked again and drawn again once per frame. */

import { exactness, rankBoth } from "/assets/answer.js";
import { explain } from "/assets/explained.js";
import { renderTotals } from "/assets/lab.js";
import { bench, confirmed, labFormula, touched } from "/assets/state.js";
import { Grid } from "/assets/tiles.js";

const grids = [false, true].map((isContender) => new Grid(isContender, (item, face) => explain(item, rankings, face)));
let rankings = null;
let frame = 0;

function settingsText() {
  const { mode, weight, freshness } = labFormula();
  const boost = mode === "none" ? "no boost" : `${mode} w ${Number(weight.toFixed(2))}`;
  return [boost, freshness && `${freshness.curve} ${dayText(freshness.scale_ms)}`].filter(Boolean).join(", ");
}

function heading(side, ranking, isContender, k) {
  const [exact, whole_, why] = exactness(side, ranking, k);
  const moved = isContender && Object.values(bench.lab).some((value) => value !== null);
  const hits = side.total_hits === null || side.total_hits === undefined ? "hits not counted" : plural(side.total_hits, "hit");
  const facts = [hits, side.took_ms !== undefined && confirmed() && `${side.took_ms} ms`, side.execution].filter(Boolean);
  return h("header", { class: "side-head" },
    h("h2", {}, words(side.label), moved && h("span", { class: "against" }, " with your settings")),
    h("p", {}, h("span", { class: `chip ${whole_ ? "good" : "bad"}`, title: why }, exact), " ", h("small", {}, `${moved ? settingsText() : side.summary} · ${facts.join(" · ")}`)));
}

/** Ranks and draws now. */
export function render() {
  const { answer } = bench;
  rankings = rankBoth();
  const { before, after } = rankings;
  const tops = [before, after].flatMap((ranking) => ranking.order.slice(0, answer.k).map((i) => ranking.scores[i] || 0));
  const longest = Math.max(...tops, 1e-9);
  [before, after].forEach((ranking, s) => grids[s].render(answer.sides[s], ranking, answer.k, longest));
  renderTotals(rankings, answer.k);
  renderSides(before, after);
  renderNote();
  byId("legend").hidden = false;
}

function renderSides(before, after) {
  const { sides, k } = bench.answer;
  const pages = byId("pages");
  if (pages.childElementCount !== 2) {
    pages.replaceChildren(...grids.map((grid, s) => h("section", { class: "side", "aria-label": s ? "contender" : "baseline" }, h("header"), grid.node)));
  }
  [before, after].forEach((ranking, s) => {
    const section = pages.children[s];
    section.firstChild.replaceWith(heading(sides[s], ranking, s === 1, k));
    section.classList.toggle("nothing", ranking.order.length === 0);
  });
}

/** The line above the pages: whose clock, and how the log's own scores came out. */
function renderNote() {
  const { answer } = bench;
  const clock = new Date(answer.clockMs + bench.shift).toISOString().replace(/\.\d+Z/, " UTC").replace("T", " ");
  const parts = [`clock ${clock}${bench.shift ? ` (${shiftText(bench.shift)})` : ""}`];
  if (answer.kind === "captured") {
    const { parity } = answer;
    const query = [`search ${answer.search_id}`, answer.platform, ...Object.entries(answer.filters).map((one) => one.join("=")), `logged from ${answer.index}`];
    parts.unshift(query.filter(Boolean).join(" · "));
    parts.push(parity.known
      ? `${parity.bit_equal} of ${parity.scores} logged scores recomputed bit for bit, the logged page ${parity.same_page ? "item for item" : "comes out otherwise"}`
      : "the log does not say which formula served it");
  } else if (touched() && !confirmed()) parts.push("sliders moved: asking the cluster");
  if (answer.problem) parts.push(answer.problem);
  byId("note").replaceChildren(...parts.flatMap((part, i) => [i ? " · " : "", words(part)]));
}

/** Draws in the next frame, however fast a slider moves. */
export function renderSoon() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => {
    performance.mark("step");
    render();
    performance.measure("re-rank", "step");
  });
}

/** No page: nothing was asked yet; `ontry` is told a query that the reader takes from those offered. */
export function clearPages(ontry) {
  const { samples } = bench.start;
  byId("legend").hidden = true;
  byId("pages").replaceChildren(h("div", { class: "empty" }, h("p", {}, "Type a query: both pages appear as you type.", samples.length > 0 && " Or try one, of words in this index:"),
    h("div", { class: "samples" }, samples.map((query) => h("button", { type: "button", onclick: () => ontry(query) }, words(query))))));
}
