// Searches under a published profile from Node 18 or newer, without any package.
//
//   node search.mjs PROFILE "red dress" [--user ID] [--platform web|ios|android] [--now MS] [--size N]
//
// Prints one JSON object: version, arm, now_ms, and the page. ELASTICSEARCH_URL, RANK_INDEX and, where the
// cluster asks for one, ELASTICSEARCH_API_KEY are read from the environment. As a module: `search(options)`.

import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";

const KEEP_MS = 5_000; // how long a live document may be used; versions never change
const kept = new Map();

/** A user's place in [0, 10 000): docs/apply-boost.md has test vectors. */
export function bucket(salt, userId) {
  const hex = createHash("sha256").update(`${salt}:${userId}`, "utf8").digest("hex");
  return parseInt(hex.slice(0, 8), 16) % 10_000;
}

/** Whether a canary serves this user; nobody without an id is in it. */
export function takes(canary, userId) {
  return userId !== undefined && bucket(canary.salt, userId) < Math.round(canary.percent * 100);
}

/** A body with the whole values "${text}" and "${now_ms}" replaced; nothing is spliced into a string. */
export function fill(node, values) {
  if (Array.isArray(node)) return node.map((one) => fill(one, values));
  if (node !== null && typeof node === "object")
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, fill(value, values)]));
  return typeof node === "string" && Object.hasOwn(values, node) ? values[node] : node;
}

/** Asks the cluster; an answer that is an error is thrown with the server's reason. */
async function ask(cluster, path, body) {
  const headers = { "content-type": "application/json" };
  if (cluster.apiKey) headers.authorization = `ApiKey ${cluster.apiKey}`;
  const response = await fetch(`${cluster.url.replace(/\/$/, "")}/${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(cluster.timeoutMs ?? 10_000),
  });
  const answer = await response.json();
  if (!response.ok) {
    const error = new Error(answer.error?.root_cause?.[0]?.reason ?? answer.error?.reason ?? `HTTP ${response.status}`);
    error.status = response.status;
    throw error;
  }
  return answer;
}

async function profileDocument(cluster, id, keepMs) {
  const key = `${cluster.url} ${id}`;
  const known = kept.get(key);
  if (known && performance.now() - known.at < keepMs) return known.source;
  let found;
  try {
    found = await ask(cluster, `rank-profiles/_doc/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error.status === 404) throw new Error(`no profile ${id} is published: rank-cli apply-boost`);
    throw error;
  }
  kept.set(key, { at: performance.now(), source: found._source });
  return found._source;
}

/** The page of one request under the profile that is live, or under its canary for the users it takes. */
export async function search({ cluster, index, profile, text, userId, platform, nowMs = Date.now(), size }) {
  const live = await profileDocument(cluster, profile, KEEP_MS);
  const canary = live.canary ?? null;
  const inCanary = canary !== null && takes(canary, userId);
  const served = inCanary ? await profileDocument(cluster, `${profile}@${canary.version}`, Infinity) : live;
  const pick = (bodies) => bodies[platform] ?? bodies.default;
  const send = async (bodies) => {
    const body = fill(pick(bodies), { "${text}": text, "${now_ms}": nowMs });
    if (size !== undefined) body.size = size;
    const found = await ask(cluster, `${index}/_search?include_named_queries_score=true`, body);
    if (found._shards.failed) throw new Error(found._shards.failures?.[0]?.reason?.reason ?? "a shard failed");
    return found;
  };
  let found;
  try {
    found = await send(served.bodies);
  } catch (error) {
    // The plugin was removed from under a live profile: the same page by its script.
    if (!/rank_boost/.test(error.message) || !pick(served.fallback_bodies ?? {})) throw error;
    found = await send(served.fallback_bodies);
  }
  return {
    profile,
    version: served.version,
    hash: served.hash,
    arm: canary === null || userId === undefined ? null : `${canary.salt}/${inCanary ? "canary" : "baseline"}`,
    now_ms: nowMs,
    items: found.hits.hits.map((hit, i) => ({
      rank: i + 1,
      item_id: hit.fields.item_id[0],
      score: hit._score,
      rel: hit.matched_queries.rel,
    })),
  };
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      user: { type: "string" },
      platform: { type: "string" },
      now: { type: "string" },
      size: { type: "string" },
    },
  });
  const [profile, ...texts] = positionals;
  const url = process.env.ELASTICSEARCH_URL;
  if (!profile || texts.length === 0) throw new Error('usage: node search.mjs PROFILE "red dress" [--user ID]');
  if (!url) throw new Error("set ELASTICSEARCH_URL");
  const cluster = { url, apiKey: process.env.ELASTICSEARCH_API_KEY };
  const common = {
    cluster,
    index: process.env.RANK_INDEX ?? "items",
    profile,
    userId: values.user,
    platform: values.platform,
    nowMs: values.now === undefined ? Date.now() : Number(values.now),
    size: values.size === undefined ? undefined : Number(values.size),
  };
  for (const text of texts) console.log(JSON.stringify(await search({ ...common, text })));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  main().catch((error) => {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  });
