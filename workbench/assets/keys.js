/* Single keys, and the help that lists them. */

let singleKeys = true; // may be switched off: a key that a screen reader or a voice types by itself

function renderHelp(keys) {
  const toggle = h("input", { type: "checkbox", checked: true, onchange: () => { singleKeys = toggle.checked; } });
  const more = [["← ↑ → ↓ Home End", "walk a grid or move a slider, once it has focus"], ["Enter", "take the item's score apart"], ["Esc", "close a dialog, hide a tip"]];
  byId("help").replaceChildren(
    h("h2", { id: "help-title" }, "Keys"),
    h("dl", {}, [...keys.map(([key, what]) => [key, what]), ...more].flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
    h("label", {}, toggle, " single keys are on"),
    h("form", { method: "dialog" }, h("button", {}, "Close")));
}

/** Listens for keys: [key, what it does in words, what it does]. */
export function listenForKeys(keys) {
  renderHelp(keys);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hideTip();
    const typing = event.target.matches?.("input:not([type=range]), select, textarea");
    if (typing || !singleKeys || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const found = keys.find(([key]) => key === event.key);
    if (!found) return;
    event.preventDefault();
    found[2]();
  });
}
