/* The reports of the folder; each opens in a tab of its own, where it can reach nothing of this page. */

import { ask, showProblem } from "/assets/asking.js";

export async function openReports() {
  try {
    const found = await ask("reports", "/api/reports");
    if (found === null) return;
    byId("reports").replaceChildren(found.reports.length
      ? h("ul", { class: "files" }, found.reports.map((one) => h("li", {},
        h("a", { href: `/report?name=${encodeURIComponent(one.name)}`, target: "_blank", rel: "noopener noreferrer" }, words(one.name)),
        h("small", {}, `${timeText(one.changed_ms)} · ${whole(Math.ceil(one.bytes / 1000))} kB`))))
      : h("p", { class: "empty" }, "No report (*.html) in the folder. Write one: rank-cli replay run … --report FILE"));
  } catch (error) {
    showProblem(error);
  }
}
