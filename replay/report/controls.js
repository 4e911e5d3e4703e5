/* Controls: sliders, the boost's mode, light and dark. */

/** A labelled slider; `show` gives the words for its value, after `onmove` took it. */
function slider(label, range, value, show, onmove) {
  const input = h("input", { type: "range", ...range, "aria-label": label });
  input.value = value; // after min, max and step, so that it is not clamped to the defaults
  const output = h("output", {}, show());
  input.setAttribute("aria-valuetext", output.textContent);
  input.addEventListener("input", () => {
    onmove(Number(input.value));
    output.textContent = show();
    input.setAttribute("aria-valuetext", output.textContent);
    paint(input);
  });
  paint(input);
  return h("label", { class: "slider" }, h("span", {}, label), input, output);
}

/** The filled part of a slider's track. */
function paint(input) {
  const share = (input.value - input.min) / (input.max - input.min || 1);
  input.style.setProperty("--filled", `${share * 100}%`);
}

/** One button per mode; pressed where all of `modes` are that one. */
function modeButtons(modes, choose) {
  const names = { none: "no boost", additive: "additive", multiplicative: "multiplicative" };
  return h("div", { class: "segments", role: "group", "aria-label": "Image boost" },
    Object.entries(names).map(([mode, name]) => h("button", {
      type: "button", "aria-pressed": String(modes.length === 1 && modes[0] === mode),
      onclick: () => choose(mode),
    }, name)));
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}
