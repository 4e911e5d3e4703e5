/* The laboratory: mode, weight, freshness scale and clock re-rank the detailed searches as they move. */

const SHIFT_DAYS = [-7, 30];

/** Distinct values over the platforms, own platform by platform. */
function overPlatforms(read) {
  const found = DATA.platforms.map((platform) => [platform || "other", read(labFormula(platform))]);
  return { found, values: [...new Set(found.map(([, value]) => value))] };
}

function perPlatform(read, show) {
  const { found, values } = overPlatforms(read);
  if (values.length === 1) return show(values[0]);
  return found.map(([platform, value]) => `${platform} ${show(value)}`).join(" · ");
}

function chooseMode(mode) {
  state.lab = { ...state.lab, mode, weight: null };
  renderLab();
  labMoved();
  byId("lab").querySelector("[aria-pressed=true]").focus();
}

function renderLab() {
  const { values: modes } = overPlatforms((formula) => formula.mode);
  const { values: weights } = overPlatforms((formula) => formula.weight);
  const { values: scales } = overPlatforms((formula) => (formula.freshness ? formula.freshness.scale_ms : null));
  const share = modes.includes("multiplicative");
  const boosted = modes.some((mode) => mode !== "none");
  const top = share ? 1 : Math.max(10, 2 * Math.max(...weights));
  const weight = slider("image weight", { min: 0, max: top, step: share ? 0.05 : 0.1, disabled: !boosted }, weights[0],
    () => (boosted ? perPlatform((formula) => formula.weight, (value) => String(Number(value.toFixed(2)))) : "off"),
    (value) => moveLab({ weight: value }));
  const scale = slider("freshness scale", { min: 1, max: 90, step: 1, disabled: scales[0] === null },
    (scales[0] || DAY_MS) / DAY_MS,
    () => perPlatform((formula) => (formula.freshness ? formula.freshness.scale_ms : null),
      (value) => (value === null ? "no freshness" : dayText(value))),
    (value) => moveLab({ scale: value * DAY_MS }));
  const shift = slider("clock", { min: SHIFT_DAYS[0], max: SHIFT_DAYS[1], step: 1 }, labShift() / DAY_MS,
    () => shiftText(labShift()), (value) => moveLab({ shift: value * DAY_MS }));
  const reset = h("button", { type: "button", id: "reset", onclick: resetLab }, "reset");
  byId("lab").replaceChildren(modeButtons(modes, chooseMode), weight, scale, shift,
    h("div", { class: "totals", id: "totals", role: "status" }), reset);
}

/** Means of the detailed searches, before and after. */
function renderTotals() {
  const pair = pairNow();
  const known = inOrder(pair.measures).filter(([{ name }]) => ["nDCG", "image_score", "age"].includes(name.split("@")[0]));
  byId("totals").replaceChildren(...known.map(([{ name, unit }, m]) => {
    const digits = digitsOf(unit);
    const values = DETAILED.map((i) => valuesOf(i, m));
    const [from, to] = [0, 1].map((side) => fixed(mean(values.map((two) => two[side])), digits));
    return h("span", {}, `${nameOf(name)} `, h("span", { class: "nowrap" }, `${from} → `, h("b", {}, to), unitOf(unit)));
  }));
  byId("reset").disabled = !touched();
}

function renderLabNote() {
  const { k } = pairNow();
  const parts = [DETAILED.length === DATA.n_searches
    ? `Means over all ${searchesOf(DATA.n_searches)}.`
    : `Means over the ${searchesOf(DETAILED.length)} that carry every candidate, of ${whole(DATA.n_searches)}; the figures above count all.`];
  if (touched()) {
    const unproven = [...moved.values()].filter(({ proven }) => !proven).length;
    parts.push(unproven
      ? `At these settings ${plural(unproven, "page")} of them ${unproven === 1 ? "is" : "are"} not proven down to ${k}.`
      : `Every page of them is proven down to ${k}.`);
  }
  if (check.done) parts.push(`This browser ranks ${whole(check.equal)} of ${plural(check.all, "page")} exactly as the replay.`);
  byId("lab-note").textContent = parts.join(" ");
}

let frame = 0;

/** Re-rank once per frame, however fast a slider moves. */
function labMoved() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(refresh);
}

function moveLab(change) {
  Object.assign(state.lab, change);
  labMoved();
}

function refresh() {
  applyLab();
  renderTotals();
  renderLabNote();
  renderList(false);
  renderDetail();
}

function resetLab() {
  state.lab = { ...UNTOUCHED };
  renderLab();
  refresh();
  byId("lab").querySelector("button").focus();
}
