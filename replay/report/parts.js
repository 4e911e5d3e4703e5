/* What a tile says of its item: where it moved, what its score is made of. Nothing here touches the page. */

/** Where an item came from: what a tile's corner shows, its kind, and the same in words. */
function moveMark(rank, from, k) {
  if (!from || from > k) return ["new", "new", `new${from ? `, was rank ${from}` : ""}`];
  if (from === rank) return ["=", "same", "same rank"];
  return from > rank ? [`▲${from - rank}`, "up", `up ${from - rank}`] : [`▼${rank - from}`, "down", `down ${rank - from}`];
}

/** The lengths of a tile's bar: what relevance gives, and what the image gives, both after freshness and factors. */
function shares(parts, formula) {
  const { mode, weight } = formula;
  const rest = parts.factors.reduce((product, factor) => product * factor, parts.fresh);
  if (mode === "none") return [parts.final, 0];
  if (mode === "additive") return [parts.rel * rest, weight * parts.image * rest];
  return [parts.rel * (1 - weight) * rest, parts.rel * weight * parts.image * rest];
}

/** A score as lines of a sum: [what, value], all in words. */
function arithmetic(parts, formula, imageScore) {
  const term = fixed(parts.image, 3);
  const from = Number.isNaN(imageScore) ? " (unscored)" : Math.abs(imageScore - parts.image) > 5e-4 ? ` (score ${fixed(imageScore, 3)})` : "";
  const w = Number(formula.weight.toFixed(3));
  const lines = [["relevance", fixed(parts.rel, 3)]];
  if (formula.mode === "additive") lines.push([`+ ${w} × image ${term}${from}`, fixed(parts.combined, 3)]);
  else if (formula.mode === "multiplicative") lines.push([`× (${Number((1 - w).toFixed(3))} + ${w} × image ${term}${from})`, fixed(parts.combined, 3)]);
  else lines.push([`image ${term}${from}`, "not used"]);
  lines.push(["× freshness", fixed(parts.fresh, 4)]);
  formula.factors.forEach((factor, f) => lines.push([`× ${factor.field}`, fixed(parts.factors[f], 3)]));
  lines.push(["= score", fixed(parts.final, 4)]);
  return lines;
}
