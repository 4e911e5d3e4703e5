/* Histograms over the whole log: the baseline as a grey area, the contender as a line over it. */

function binLabel({ edges, unit }, i) {
  const digits = edges.length > 12 ? 2 : 0;
  const [from, to] = [edges[i], edges[i + 1]];
  const text = to === null ? `${fixed(from, digits)} and more` : `${fixed(from, digits)} to ${fixed(to, digits)}`;
  return unit ? `${text} ${unit}` : text;
}

/** The outline of a histogram, in a box of one unit per bin and 100 high. */
function outline(shares, tallest, closed) {
  const steps = shares.flatMap((share, i) => {
    const y = 100 - (100 * share) / tallest;
    return [`${i},${y}`, `${i + 1},${y}`];
  });
  return closed ? `M0,100 L${steps.join(" L")} L${shares.length},100 Z` : `M${steps.join(" L")}`;
}

const shareOf = (counts) => {
  const total = counts.reduce((sum, n) => sum + n, 0) || 1;
  return counts.map((n) => n / total);
};

function histogram(one, shares, warm) {
  const tallest = Math.max(...shares.flat(), 1e-9);
  const last = shares.length - 1;
  const zero = one.edges.findIndex((edge) => edge === 0);
  const columns = shares[0].map((_, i) => s("rect", {
    class: "hit", x: i, y: 0, width: 1, height: 100,
    onmouseenter: (event) => showTip(event.currentTarget, [binLabel(one, i),
      shares.map((share, side) => `${share === shares[last] && last ? "→ " : ""}${whole(one.counts[side][i])} (${(100 * share[i]).toFixed(1)} %)`).join(" ")]),
    onmouseleave: hideTip,
  }));
  return s("svg", {
    class: `histogram ${warm ? "warmth" : ""}`, viewBox: `0 0 ${shares[0].length} 100`, preserveAspectRatio: "none",
    role: "img", "aria-label": spreadSentence(one),
  },
  last > 0 && s("path", { class: "was", d: outline(shares[0], tallest, true) }),
  s("path", { class: last ? "is" : "is area", d: outline(shares[last], tallest, last === 0) }),
  zero > 0 && s("line", { class: "zero", x1: zero, x2: zero, y1: 0, y2: 100 }), columns);
}

function medians({ quartiles }, digits) {
  return quartiles.map((three) => (three ? fixed(three[1], digits) : "–")).join(" → ");
}

function spreadSentence(one) {
  const digits = one.unit === "days" ? 1 : 2;
  const halves = one.quartiles.map((three) => (three ? `${fixed(three[0], digits)} to ${fixed(three[2], digits)}` : "none"));
  return `${one.name} of ${one.what}: median ${medians(one, digits)}, middle half ${halves.join(", then ")}, n = ${one.n.map(whole).join(" and ")}`;
}

function spreadCard(one) {
  const digits = one.unit === "days" ? 1 : 2;
  const { edges } = one;
  const end = edges[edges.length - 1];
  const absentText = one.absent.some((n) => n) ? ` · ${one.absent.map(whole).join(" → ")} ${one.absent_name}` : "";
  const n = one.n.length > 1 && one.n[0] !== one.n[1] ? one.n.map(whole).join(" → ") : whole(one.n[one.n.length - 1]);
  return h("div", { class: "card spread", tabindex: 0, role: "group", "aria-label": spreadSentence(one),
    onfocus: (event) => showTip(event.currentTarget, [spreadSentence(one)]), onblur: hideTip },
    h("h3", {}, h("span", {}, one.name, one.unit && `, ${one.unit}`), h("small", {}, `median ${medians(one, digits)}`)),
    histogram(one, one.counts.map(shareOf), one.name === "image score"),
    end === null
      ? h("div", { class: "ends each", "aria-hidden": "true" }, edges.slice(0, -1).map((edge, i) =>
        h("span", {}, fixed(edge, 0), i === edges.length - 2 && "+")))
      : h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, fixed(edges[0], digits)), h("span", {}, fixed(end, digits))),
    h("p", { class: "caption" }, `n = ${n}${absentText ? "" : " items"}${absentText}`));
}

/** How far the contender's first k moved: one column per number of places. */
function movesCard(pair) {
  const { places, new: fresh } = pair.moves;
  const columns = places.map((n, i) => [i - (pair.k - 1), n]);
  const total = columns.reduce((sum, [, n]) => sum + n, fresh) || 1;
  const shown = [...columns.map(([by, n]) => [by === 0 ? "=" : signed(by, 0), n, by]), ["new", fresh, pair.k]];
  const tallest = Math.max(...shown.map(([, n]) => n), 1);
  const bars = shown.map(([label, n, by], i) => {
    const height = (n / tallest) * 100;
    return s("rect", {
      class: by === pair.k ? "bar new" : by === 0 ? "bar same" : "bar", rx: 1.5,
      x: `${((i + 0.12) / shown.length) * 100}%`, width: `${76 / shown.length}%`,
      y: `${100 - height}%`, height: `${height}%`,
      onmouseenter: (event) => showTip(event.currentTarget, [`${label === "=" ? "same rank" : label === "new" ? "new on the page" : `${label} places`}: ` +
        `${plural(n, "item")}, ${((100 * n) / total).toFixed(1)} %`]),
      onmouseleave: hideTip,
    });
  });
  const still = (100 * columns[pair.k - 1][1]) / total;
  const sentence = `${still.toFixed(0)} % of items keep their rank, ${((100 * fresh) / total).toFixed(0)} % are new, n = ${plural(total, "item")}`;
  return h("div", { class: "card spread", tabindex: 0, role: "group", "aria-label": `rank moves: ${sentence}` },
    h("h3", {}, "rank moves", h("small", {}, `${((100 * fresh) / total).toFixed(0)} % new`)),
    s("svg", { class: "moves", role: "img", "aria-label": sentence }, bars),
    h("div", { class: "ends", "aria-hidden": "true" },
      h("span", {}, `down ${pair.k - 1}`), h("span", {}, "same"), h("span", {}, `up ${pair.k - 1} · new`)),
    h("p", { class: "caption" }, `n = ${plural(total, "item")} of the contender's first ${pair.k}`));
}

function renderDistributions() {
  const pair = pairNow();
  byId("spread-legend").replaceChildren(
    h("i", { class: "was" }), pair.baseline.label, h("i", { class: "stroke" }), h("i", { class: "stroke warmth" }), pair.contender.label);
  byId("distributions").replaceChildren(...pair.distributions.map(spreadCard), movesCard(pair));
}
