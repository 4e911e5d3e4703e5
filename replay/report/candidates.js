/* All candidates of one search: why items move. */

/** Where a candidate stands: on both pages, entering, leaving, or on neither. */
function standing(before, after, p, k) {
  const was = before.ranks[p] >= 1 && before.ranks[p] <= k;
  const is = after.ranks[p] >= 1 && after.ranks[p] <= k;
  return is ? (was ? "stays" : "enters") : was ? "leaves" : "rest";
}

const STANDINGS = [["stays", "on both pages"], ["enters", "enters"], ["leaves", "leaves"], ["rest", "on neither"]];

/** The dots that do not matter, as one path: a page may have thousands. */
function restPath(points) {
  const at = ({ x, y }) => `M${x.toFixed(2)},${y.toFixed(2)}h0`;
  return s("svg", { class: "restful", viewBox: "0 0 100 100", preserveAspectRatio: "none" },
    s("path", { class: "rest", d: points.map(at).join("") }));
}

/** Relevance times freshness across, image score up, one dot per logged candidate. */
function scatter(search, before, after) {
  const { k } = pairNow();
  const { formula, nowMs, order } = after;
  const points = order.filter((p) => !Number.isNaN(search.rels[p])).map((p) => {
    const parts = scoreParts(formula, search, p, nowMs);
    return { p, parts, x: parts.rel * parts.fresh, y: 100 - 100 * parts.image, kind: standing(before, after, p, k) };
  });
  const widest = points.reduce((most, { x }) => Math.max(most, x || 0), 1e-9);
  for (const point of points) point.x *= 100 / widest;
  const on = points.filter(({ kind }) => kind !== "rest").reverse(); // the best are drawn last, on top
  const count = (kind) => points.filter((point) => point.kind === kind).length;
  const plot = s("svg", {
    role: "img",
    "aria-label": `Image score against relevance times freshness: ${STANDINGS.map(([kind, text]) => `${count(kind)} ${text}`).join(", ")}`,
    onmousemove: (event) => pointAt(event, plot, search, before, after, points), onmouseleave: hideTip,
  }, s("rect", { class: "hit", width: "100%", height: "100%" }),
  restPath(points.filter(({ kind }) => kind === "rest")),
  on.map(({ x, y, kind }) => s("circle", { class: kind, cx: `${x}%`, cy: `${y}%`, r: 4.5 })));
  return h("section", { class: "scatter", "aria-label": "All candidates" },
    h("h3", {}, h("span", {}, `All ${whole(order.length)} logged candidates`),
      h("small", { class: "key" }, STANDINGS.map(([kind, text]) =>
        h("span", {}, s("svg", { width: 10, height: 10, "aria-hidden": "true" }, s("circle", { class: kind, cx: 5, cy: 5, r: kind === "rest" ? 2.5 : 4 })),
          ` ${text} ${count(kind)}`)))),
    h("div", { class: "field" }, plot, h("span", { class: "warm" }, "image score ↑"), h("span", { class: "faint" }, "relevance × freshness →")));
}

const REACH_PX = 14;

/** The tip of the dot nearest to the pointer. */
function pointAt(event, plot, search, before, after, points) {
  const box = plot.getBoundingClientRect();
  const away = ({ x, y }) => Math.hypot(box.left + (x * box.width) / 100 - event.clientX, box.top + (y * box.height) / 100 - event.clientY);
  const nearest = points.reduce((best, point) => (away(point) < away(best) ? point : best), points[0]);
  if (!nearest || away(nearest) > REACH_PX) return hideTip();
  const { p, parts, x, y } = nearest;
  const [left, top] = [box.left + (x * box.width) / 100, box.top + (y * box.height) / 100];
  const anchor = { getBoundingClientRect: () => ({ left, top, width: 0, bottom: top }) };
  const rank = `rank ${before.ranks[p] || "–"} → ${after.ranks[p]}`;
  return showItem(anchor, itemAt(search.item[p]), search.item[p], arithmetic(parts, after.formula, search.images[p]), [rank]);
}
