/* The tooltip: follows focus as it follows the pointer. */

function placeTip(anchor, ...content) {
  const tip = byId("tip");
  tip.replaceChildren(...content);
  tip.hidden = false;
  const box = anchor.getBoundingClientRect();
  const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
  const above = box.top - tip.offsetHeight - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 8 ? above : box.bottom + 8}px`;
}

const showTip = (anchor, lines) => placeTip(anchor, ...lines.filter(Boolean).map((line, i) => h("p", { class: i ? "faint" : "" }, line)));

function showItem(anchor, item, place, lines, facts) {
  placeTip(anchor, h("p", { class: "name" }, words(item.title || item.id)),
    h("p", { class: "faint" }, words([item.title && item.id, item.category, ...facts].filter(Boolean).join(" · "))),
    h("dl", {}, lines.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
  for (const node of document.querySelectorAll(".tile")) node.classList.toggle("twin", Number(node.dataset.item) === place);
}

function hideTip() {
  if (byId("tip").hidden) return;
  byId("tip").hidden = true;
  for (const node of document.querySelectorAll(".tile.twin")) node.classList.remove("twin");
}

/** Listeners that show a tip on pointer and focus alike. */
const withTip = (show) => ({ onmouseenter: show, onfocus: show, onmouseleave: hideTip, onblur: hideTip });
