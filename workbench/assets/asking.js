/* Requests: the newest of each kind wins, an older one that is under way is cancelled. */

export class Refused extends Error {
  constructor(message, hint, status) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

const running = new Map();
let busy = 0;

function working(change) {
  busy += change;
  document.body.toggleAttribute("data-busy", busy > 0);
}

/** The answer, or null where a newer request of the kind took its place. */
export async function ask(kind, path, body = null, headers = {}) {
  running.get(kind)?.abort();
  const control = new AbortController();
  running.set(kind, control);
  working(1);
  try {
    const response = await fetch(path, {
      signal: control.signal,
      ...(body === null ? {} : {
        method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body),
      }),
    });
    const data = await response.json().catch(() => ({ error: `the server answered ${response.status}, and no JSON` }));
    if (running.get(kind) !== control) return null;
    if (!response.ok) throw new Refused(data.error, data.hint, response.status);
    return data;
  } catch (error) {
    if (error.name === "AbortError") return null;
    if (error instanceof Refused) throw error;
    throw new Refused("the server of this page does not answer", "is `rank-cli serve` still running?");
  } finally {
    if (running.get(kind) === control) running.delete(kind);
    working(-1);
  }
}

/** Forget whatever of this kind is under way. */
export function cancel(kind) {
  running.get(kind)?.abort();
  running.delete(kind);
}

/** Calls `act` once, `ms` after the last call. */
export function debounced(act, ms) {
  let timer = 0;
  const later = (...given) => {
    clearTimeout(timer);
    timer = setTimeout(act, ms, ...given);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/** A sentence of what went wrong, and what to do; nothing takes it away. */
export function showProblem(error) {
  const node = document.getElementById("problem");
  node.hidden = !error;
  if (!error) return;
  if (!(error instanceof Refused)) throw error;
  node.replaceChildren(h("b", {}, words(error.message)), ...(error.hint ? [" ", words(error.hint)] : []),
    ...(byId("pages").querySelector(".tile") ? [" The pages below are those of the last answer."] : []));
}
