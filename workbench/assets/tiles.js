/* A grid of photos that is kept and changed, not made anew: a slider moves 200 tiles at every step. */

import { bench } from "/assets/state.js";

const text = (node, value) => {
  if (node.firstChild?.nodeValue !== value) node.textContent = value;
};

function makeTile(onopen) {
  const parts = {
    picture: h("span", { class: "picture" }),
    rank: h("span", { class: "rank" }),
    move: h("span", { class: "move" }),
    bar: h("span", { class: "bar" }, h("i", { class: "rel" }), h("i", { class: "img" })),
    score: h("b"),
    image: h("span", { class: "warm" }),
    price: h("span"),
    age: h("span"),
  };
  const face = h("button", { type: "button", class: "face", tabindex: -1 },
    h("span", { class: "photo" }, parts.picture, parts.rank, parts.move), parts.bar,
    h("span", { class: "numbers" }, parts.score, parts.image),
    h("span", { class: "numbers faint" }, parts.price, parts.age));
  const tile = { ...parts, face, node: h("li", { class: "tile" }, face), card: undefined };
  const show = () => tile.tip(face);
  for (const [name, listener] of Object.entries({ mouseenter: show, focus: show, mouseleave: hideTip, blur: hideTip, click: () => onopen(tile) })) {
    face.addEventListener(name, listener);
  }
  return tile;
}

/** The photo, or the title in its place; made again only where the card is new. */
function drawPicture(tile, item) {
  const card = bench.items.get(item);
  if (tile.card === card && tile.item === item) return;
  Object.assign(tile, { card, item });
  tile.picture.replaceChildren(card?.photo
    ? h("img", { src: `/photo?item=${encodeURIComponent(item)}`, alt: "", width: 160, height: 160, decoding: "async", loading: "lazy" })
    : h("span", { class: "nophoto" }, words(card?.title || item)));
}

/** One side's page. */
export class Grid {
  constructor(isContender, onopen) {
    this.isContender = isContender;
    this.onopen = onopen;
    this.tiles = new Map(); // by item id
    this.node = h("ol", { class: "grid" });
    this.node.addEventListener("keydown", (event) => this.walk(event));
    this.node.addEventListener("focusin", (event) => this.enter(event.target.closest(".tile")));
  }

  /** Shows the first k of a ranking; `longest` is the highest score of both sides. */
  render(side, ranking, k, longest) {
    const shown = ranking.order.slice(0, k).map((i, place) => this.draw(side, ranking, i, place + 1, k, longest));
    const focused = shown.find((tile) => tile.face === document.activeElement);
    if (shown.length !== this.node.childElementCount || shown.some(({ node }, place) => this.node.children[place] !== node)) {
      this.node.replaceChildren(...shown.map(({ node }) => node));
      focused?.face.focus({ preventScroll: true });
    }
    if (!shown.some(({ face }) => face.tabIndex === 0) && shown.length) shown[0].face.tabIndex = 0;
    if (this.tiles.size > 1500) this.tiles = new Map(shown.map((tile) => [tile.item, tile]));
  }

  draw(side, ranking, i, rank, k, longest) {
    const { search } = side;
    const item = bench.answer.item_ids[search.item[i]];
    if (!this.tiles.has(item)) this.tiles.set(item, makeTile((tile) => this.onopen(tile.item, tile.face)));
    const tile = this.tiles.get(item);
    drawPicture(tile, item);
    const parts = scoreParts(ranking.formula, search, i, ranking.nowMs);
    const other = ranking.other[i];
    const [mark, kind, spoken] = this.isContender ? moveMark(rank, other, k)
      : other && other <= k ? ["", "", ""] : ["out", "out", "leaves the page"];
    const [green, warm] = shares(parts, ranking.formula);
    const unscored = Number.isNaN(search.images[i]);
    const age = Number.isNaN(search.created[i]) ? "no date" : `${Math.max(0, Math.floor((ranking.nowMs - search.created[i]) / DAY_MS))} d`;
    const price = Number.isNaN(search.prices[i]) ? "" : whole(search.prices[i]);
    tile.node.dataset.item = search.item[i];
    tile.node.classList.toggle("leaves", kind === "out");
    text(tile.rank, String(rank));
    text(tile.move, mark);
    tile.move.className = `move ${kind}`;
    tile.move.hidden = !mark;
    tile.bar.style.setProperty("--rel", String(Math.max(0, green) / longest));
    tile.bar.style.setProperty("--img", String(Math.max(0, warm) / longest));
    text(tile.score, fixed(parts.final, 2));
    text(tile.image, unscored ? "–" : fixed(search.images[i], 2));
    text(tile.price, price);
    text(tile.age, age);
    const card = bench.items.get(item);
    const name = card?.title || item;
    const label = `rank ${rank}${spoken && `, ${spoken}`}: ${name}; score ${fixed(parts.final, 2)}, relevance ${fixed(parts.rel, 2)}, ` +
      `image ${unscored ? "unscored" : fixed(search.images[i], 2)}, freshness ${fixed(parts.fresh, 2)}, ${price || "no price"}, ${age}`;
    if (tile.label !== label) {
      tile.label = label;
      tile.face.setAttribute("aria-label", label);
    }
    tile.tip = (anchor) => showItem(anchor, { id: item, title: card?.title, category: card?.category }, search.item[i],
      arithmetic(parts, ranking.formula, search.images[i]), [price, age, "click for both sides"]);
    return tile;
  }

  /** One tile of the grid is in the tab order: the one that had the focus last. */
  enter(node) {
    for (const one of this.node.children) one.firstChild.tabIndex = one === node ? 0 : -1;
  }

  /** Arrow keys, Home and End. */
  walk(event) {
    const tiles = [...this.node.children];
    const at = tiles.findIndex((one) => one.contains(document.activeElement));
    const perRow = getComputedStyle(this.node).gridTemplateColumns.split(" ").length;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + perRow, ArrowUp: at - perRow, Home: 0, End: tiles.length - 1 }[event.key];
    if (at < 0 || to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    tiles[Math.min(Math.max(to, 0), tiles.length - 1)].firstChild.focus();
  }
}
