/* The start, and what happens when something is asked or moved. */

import { readAnswer } from "/assets/answer.js";
import { ask, cancel, debounced, showProblem } from "/assets/asking.js";
import { markCaptured, neighbour, openCaptures } from "/assets/captures.js";
import { AS_SERVED, fillForm, fillProfiles, liveSearch, pair, remember } from "/assets/form.js";
import { listenForKeys } from "/assets/keys.js";
import { renderLab, resetLab } from "/assets/lab.js";
import { openReports } from "/assets/reports.js";
import { openSave, takeToken } from "/assets/save.js";
import { clearPages, render, renderSoon } from "/assets/sides.js";
import { UNTOUCHED, bench, touched } from "/assets/state.js";

const TYPING_MS = 250; // between a letter and the search, a slider's stop and the question to the cluster
const VIEWS = { live: "Live", captures: "Captures", reports: "Reports" };

/** What the settings are asked as: a slider keeps the clock of the answer it moved. */
function settings() {
  const { mode, weight, scale_ms } = bench.lab;
  return { sliders: { mode, weight, scale_ms }, shift_ms: bench.shift };
}

function question(sameClock) {
  if (bench.view === "captures") return ["/api/replay", { ...pair(), ...settings(), search_id: bench.search }];
  const body = { ...liveSearch(), ...settings() };
  if (sameClock) body.at_ms = bench.answer.clockMs;
  return ["/api/compare", body];
}

/** Asks and shows both pages; with `sameClock`, as a slider's confirmation. */
async function search({ sameClock = false } = {}) {
  confirmLater.cancel();
  if (bench.view === "reports" || (bench.view === "captures" && !bench.search)) return;
  remember();
  byId("swap").disabled = byId("baseline").value === AS_SERVED;
  try {
    if (bench.view === "live" && !byId("query").value.trim()) {
      cancel("search");
      showProblem(null);
      bench.answer = null;
      byId("note").textContent = "";
      byId("lab").replaceChildren();
      clearPages((query) => {
        byId("query").value = query;
        search();
      });
      return;
    }
    const asked = { lab: { ...bench.lab }, shift: bench.shift };
    const [path, body] = question(sameClock);
    const began = performance.now();
    const found = await ask("search", path, body);
    if (found === null) return;
    showProblem(null);
    const before = bench.answer && JSON.stringify(bench.answer.sides[1].own);
    bench.answer = readAnswer(found, asked);
    for (const [item, card] of Object.entries(found.items)) bench.items.set(item, card);
    if (!sameClock || before !== JSON.stringify(bench.answer.sides[1].own)) renderLab(onmove);
    render();
    document.documentElement.dataset.answers = String(Number(document.documentElement.dataset.answers || 0) + 1);
    performance.measure("search", { start: began });
    fetchCards(found);
  } catch (error) {
    showProblem(error);
  }
}

/** Titles and photos of the candidates that are not shown yet, so that a slider can bring them up. */
async function fetchCards(found) {
  const ids = found.item_ids.filter((item) => !bench.items.has(item)).slice(0, 2500);
  if (!ids.length || found.problem) return;
  try {
    const more = await ask("items", "/api/items", { ids });
    if (more === null) return;
    for (const [item, card] of Object.entries(more.items)) bench.items.set(item, card);
    if (bench.answer) renderSoon();
  } catch {
    /* the pages stand; tiles that a slider brings up show their ids */
  }
}

const searchSoon = debounced(() => search(), TYPING_MS);
const confirmLater = debounced(() => search({ sameClock: true }), TYPING_MS);

function onmove() {
  cancel("search");
  renderSoon();
  confirmLater();
}

function forgetSliders() {
  bench.lab = { ...UNTOUCHED };
  bench.shift = 0;
}

/** A new pair of profiles: sliders belong to the contender they were moved on. */
function newPair() {
  forgetSliders();
  searchSoon.cancel();
  search();
}

function typeInto(input) {
  input.focus();
  input.select();
}

function swap() {
  const [one, two] = [byId("baseline"), byId("contender")];
  if (byId("swap").disabled) return;
  [one.value, two.value] = [two.value, one.value];
  newPair();
}

async function saved(profile) {
  await readStart();
  fillProfiles();
  byId("contender").value = profile.key;
  newPair();
}

function pickCaptured(searchId) {
  if (!searchId) return;
  bench.search = searchId;
  markCaptured();
  search();
}

function showView(view) {
  Object.assign(bench, { view, answer: null });
  forgetSliders();
  cancel("search");
  showProblem(null);
  byId("note").textContent = "";
  byId("legend").hidden = true;
  byId("lab").replaceChildren();
  byId("ask").hidden = view !== "live";
  byId("browse").hidden = view !== "captures";
  for (const id of ["compared", "dock", "searches"]) byId(id).hidden = view === "reports";
  byId("reports").hidden = view !== "reports";
  byId("searches").classList.toggle("searches", view === "captures");
  byId("pages").replaceChildren();
  for (const button of byId("views").children) button.setAttribute("aria-pressed", String(button.dataset.view === view));
  fillProfiles();
  if (view === "captures") {
    byId("baseline").value = AS_SERVED;
    if (bench.search) search();
    openCaptures(pickCaptured);
  } else if (view === "reports") openReports();
  else search();
  remember();
}

function renderViews() {
  const { captures, reports } = bench.start;
  const there = Object.entries(VIEWS).filter(([view]) => view === "live" || (view === "captures" ? captures !== null : reports !== null));
  byId("views").replaceChildren(...there.map(([view, name]) => h("button", {
    type: "button", "data-view": view, "aria-pressed": String(view === bench.view), onclick: () => showView(view),
  }, name)));
  byId("views").hidden = there.length < 2;
}

async function readStart() {
  bench.start = await ask("start", "/api/start");
}

function listen() {
  for (const id of ["ask", "lab"]) byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    if (id === "ask") search();
  });
  for (const id of ["query", "clock", "filters"]) byId(id).addEventListener("input", searchSoon);
  for (const id of ["platform", "category", "k"]) byId(id).addEventListener("change", () => search());
  for (const id of ["baseline", "contender"]) byId(id).addEventListener("change", newPair);
  byId("swap").addEventListener("click", swap);
  byId("save").addEventListener("click", () => openSave(saved));
  byId("theme").addEventListener("click", toggleTheme);
  byId("keys").addEventListener("click", () => byId("help").showModal());
  addEventListener("scroll", hideTip, { passive: true });
  listenForKeys([
    ["/", "type a query, or filter captured searches", () => typeInto(byId(bench.view === "captures" ? "captured" : "query"))],
    ["s", "swap baseline and contender", swap],
    ["r", "reset the sliders", () => bench.answer && touched() && resetLab(onmove)],
    ["j", "next captured search", () => bench.view === "captures" && pickCaptured(neighbour(1))],
    ["k", "previous captured search", () => bench.view === "captures" && pickCaptured(neighbour(-1))],
    ["t", "light or dark", toggleTheme],
    ["?", "this help", () => byId("help").showModal()],
  ]);
}

async function start() {
  takeToken();
  listen();
  try {
    await readStart();
  } catch (error) {
    showProblem(error);
    return;
  }
  byId("index").replaceChildren(words(bench.start.index));
  document.title = `${bench.start.index} · workbench`;
  fillForm();
  renderViews();
  const asked = new URLSearchParams(location.search).get("view");
  const known = [...byId("views").children].some((button) => button.dataset.view === asked);
  if (known && asked !== "live") showView(asked);
  else await search();
  if (bench.start.problems.length && byId("problem").hidden) byId("note").textContent = bench.start.problems.join(" · ");
  document.documentElement.dataset.ready = "yes";
}

start();
