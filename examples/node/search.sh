#!/bin/sh
# Searches under a published profile with curl and jq.
#
#   search.sh PROFILE "red dress" [USER_ID]
#
# Prints one JSON object as node/search.mjs does. Reads ELASTICSEARCH_URL, RANK_INDEX and, where the cluster
# asks for one, ELASTICSEARCH_API_KEY from the environment; PLATFORM and NOW_MS too, where they are set.
set -eu

profile=${1:?usage: search.sh PROFILE QUERY [USER_ID]} text=${2:?a query} user=${3-}
: "${ELASTICSEARCH_URL:?set it to http://host:9200}"
index=${RANK_INDEX:-items} platform=${PLATFORM:-default} now_ms=${NOW_MS:-$(date +%s%3N)}

ask() { # a path, and a body where there is one; the key goes in by a file, so that no process list has it
    if [ -n "${ELASTICSEARCH_API_KEY-}" ]; then
        printf 'header = "Authorization: ApiKey %s"\n' "$ELASTICSEARCH_API_KEY"
    fi | curl --config - --fail-with-body --silent --show-error --max-time 10 \
        --header 'content-type: application/json' ${2+--data "$2"} "$ELASTICSEARCH_URL/$1"
}

live=$(ask "rank-profiles/_doc/$profile" | jq -c ._source)
arm=null served=$live
if [ -n "$user" ] && [ "$(printf %s "$live" | jq -r '.canary != null')" = true ]; then
    salt=$(printf %s "$live" | jq -r .canary.salt)
    hex=$(printf '%s:%s' "$salt" "$user" | sha256sum | cut -c 1-8)
    bucket=$((0x$hex % 10000))
    arm="\"$salt/baseline\""
    if [ "$bucket" -lt "$(printf %s "$live" | jq '.canary.percent * 100 | round')" ]; then
        arm="\"$salt/canary\""
        served=$(ask "rank-profiles/_doc/$profile@$(printf %s "$live" | jq .canary.version)" | jq -c ._source)
    fi
fi

# Whole values are replaced, after parsing: nothing a user types becomes part of a query.
body=$(printf %s "$served" | jq -c --arg text "$text" --argjson now "$now_ms" --arg platform "$platform" \
    '(.bodies[$platform] // .bodies.default)
     | walk(if . == "${text}" then $text elif . == "${now_ms}" then $now else . end)')
ask "$index/_search?include_named_queries_score=true" "$body" |
    jq -c --argjson served "$served" --argjson arm "$arm" --argjson now "$now_ms" \
        '{profile: $served.name, version: $served.version, hash: $served.hash, arm: $arm, now_ms: $now,
          items: [.hits.hits | to_entries[] | {rank: (.key + 1), item_id: .value.fields.item_id[0],
                  score: .value._score, rel: .value.matched_queries.rel}]}'
