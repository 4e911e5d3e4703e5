/* The list of captured searches. */

import { ask, debounced, showProblem } from "/assets/asking.js";
import { bench } from "/assets/state.js";

let rows = [];
let total = 0;

function row(one, onpick) {
  return h("li", {}, h("button", {
    type: "button", "aria-current": one.search_id === bench.search ? "true" : null, "data-search": one.search_id,
    onclick: () => onpick(one.search_id),
  }, h("span", { class: "query" }, words(one.query || "(no text)")),
  h("small", {}, words([timeText(one.now_ms), one.platform, one.profile].filter(Boolean).join(" · ")))));
}

function show(onpick) {
  byId("count").textContent = `${searchesOf(total)} of ${whole(bench.ofCaptures)}`;
  const more = rows.length < total && h("li", {}, h("button", { type: "button", class: "more", onclick: () => load(onpick, rows.length) }, `${whole(total - rows.length)} more`));
  byId("captured-list").replaceChildren(...rows.map((one) => row(one, onpick)), ...(more ? [more] : []));
}

async function load(onpick, start) {
  try {
    const found = await ask("captures", `/api/captures?${new URLSearchParams({ text: byId("captured").value, start })}`);
    if (found === null) return;
    rows = start ? [...rows, ...found.rows] : found.rows;
    [total, bench.ofCaptures] = [found.n, found.of];
    show(onpick);
    if (!bench.search && rows.length) onpick(rows[0].search_id);
  } catch (error) {
    showProblem(error);
  }
}

/** Reads the list; `onpick` is told the search that was chosen. */
export function openCaptures(onpick) {
  const again = debounced(() => load(onpick, 0), 200);
  byId("captured").oninput = again;
  return load(onpick, 0);
}

/** Marks the chosen search. */
export function markCaptured() {
  for (const button of byId("captured-list").querySelectorAll("[data-search]")) {
    if (button.dataset.search === bench.search) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

/** The search before or after the chosen one. */
export function neighbour(by) {
  const at = rows.findIndex((one) => one.search_id === bench.search);
  return rows[Math.min(Math.max(at + by, 0), rows.length - 1)]?.search_id;
}
