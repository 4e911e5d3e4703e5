/* What the reader has chosen, and the last answer of the server. */

export const UNTOUCHED = { mode: null, weight: null, scale_ms: null };

export const bench = {
  start: null, // what the server said when the page opened
  view: "live", // live, captures or reports
  answer: null, // as answer.js reads it
  search: null, // id of the captured search that is shown
  lab: { ...UNTOUCHED },
  shift: 0, // ms added to the clock, on both sides
  items: new Map(), // title, price, category and photo by item id
};

export const touched = () => bench.shift !== 0 || Object.values(bench.lab).some((value) => value !== null);

/** The contender's own formula with whatever was moved. */
export function labFormula() {
  const { own } = bench.answer.sides[1];
  const { mode, weight, scale_ms } = bench.lab;
  return {
    ...own,
    mode: mode === null ? own.mode : mode,
    weight: weight === null ? own.weight : weight,
    freshness: own.freshness && scale_ms !== null ? { ...own.freshness, scale_ms } : own.freshness,
  };
}

/** Whether the last answer is of the settings that are shown. */
export function confirmed() {
  const { asked } = bench.answer;
  return asked.shift === bench.shift && Object.keys(UNTOUCHED).every((name) => asked.lab[name] === bench.lab[name]);
}
