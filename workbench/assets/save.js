/* The contender with its sliders as a profile file: shown, copied, and saved where the server allows it. */

import { ask, debounced } from "/assets/asking.js";
import { pair } from "/assets/form.js";
import { bench } from "/assets/state.js";

const KEPT = "rank-workbench-token";

/** Takes the token out of the address, where it would be seen and copied. */
export function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found) {
    sessionStorage.setItem(KEPT, found);
    history.replaceState(null, "", location.pathname + location.search);
  }
}

const body = () => ({ contender: pair().contender, sliders: bench.lab, name: byId("profile-name").value });

async function shown(act, write) {
  const note = byId("saving-note");
  try {
    const found = await ask("draft", write ? "/api/save" : "/api/draft", body(), { "X-Rank-Token": sessionStorage.getItem(KEPT) || "" });
    if (found === null) return;
    byId("yaml").textContent = found.yaml;
    const findings = found.findings.map((one) => `${one.severity}: ${one.where}: ${one.why}`);
    note.replaceChildren(h("span", {}, write ? `Saved: ${found.path}. Nothing is published; to publish: rank-cli apply-boost ${found.path}` : `${found.summary} · ${found.hash}`),
      ...findings.map((one) => h("span", { class: "finding-line" }, words(one))));
    note.className = "faint";
    if (act) act(found);
  } catch (error) {
    byId("yaml").textContent = "";
    note.className = "wrong";
    note.replaceChildren(words([error.message, error.hint].filter(Boolean).join(" ")));
  }
}

/** Opens the dialog; `onsaved` is told the new profile's key. */
export function openSave(onsaved) {
  const { may_save: folder } = bench.start;
  const base = bench.answer?.sides[1].name || "profile";
  const moved = Object.values(bench.lab).some((value) => value !== null);
  const again = debounced(() => shown(null, false), 150);
  const saveButton = h("button", { type: "button", id: "save-now", disabled: !folder, onclick: () => shown(onsaved, true) }, "Save");
  byId("saving").replaceChildren(
    h("h2", { id: "saving-title" }, "The contender as a profile"),
    h("label", {}, "name ", h("input", { type: "text", id: "profile-name", value: moved ? `${base}-2` : base, maxlength: 64, spellcheck: "false", oninput: again })),
    h("pre", { id: "yaml", tabindex: 0, "aria-label": "The profile file" }),
    h("p", { id: "saving-note", role: "status" }),
    h("p", { class: "faint" }, folder ? `Saved to ${folder} as a new file; never published from here.` : "This page is read-only: start rank-cli serve with --allow-save DIR to save from here."),
    h("form", { method: "dialog", class: "row-of-buttons" },
      h("button", { type: "button", onclick: () => navigator.clipboard?.writeText(byId("yaml").textContent) }, "Copy"), saveButton, h("button", {}, "Close")));
  byId("saving").showModal();
  shown(null, false);
}
