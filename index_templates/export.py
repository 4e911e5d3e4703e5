"""The desired state as plain files and a curl script, for teams that deploy by other means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from index_templates.desired import Resource
from index_templates.index import first_index_bodies
from index_templates.write import put_request
from ranking.errors import InputError

_HEAD: Final = """\
#!/bin/sh
# Brings a cluster to what these files say. Needs curl; may be run again.
#   ELASTICSEARCH_URL      http://127.0.0.1:9200 if not set
#   ELASTICSEARCH_API_KEY  sent where it is set
#   CURL_OPTIONS           more options for curl, such as --cacert ca.pem
set -eu
cd "$(dirname "$0")"
url="${ELASTICSEARCH_URL:-http://127.0.0.1:9200}"

call() {
  set -- -sS $CURL_OPTIONS -H 'Content-Type: application/json' "$@"
  if [ -n "${ELASTICSEARCH_API_KEY:-}" ]; then
    # Through a pipe: arguments of a process can be read by everyone on the machine.
    printf 'Authorization: ApiKey %s\\n' "$ELASTICSEARCH_API_KEY" | curl -H @- "$@"
  else
    curl "$@"
  fi
}
CURL_OPTIONS="${CURL_OPTIONS:-}"

put() {
  echo "PUT $1"
  answer="$(call -X PUT "$url$1" --data-binary "@$2" -w '\\n%{http_code}')"
  case "$answer" in
    *2[0-9][0-9]) ;;
    *) echo "$answer" >&2; exit 1 ;;
  esac
}

put_new() {
  status="$(call -o /dev/null -w '%{http_code}' -I "$url/$1")"
  case "$status" in
    404) put "/$2" "$3" ;;
    200) echo "there already: $1" ;;
    *) echo "HTTP $status while looking for $1" >&2; exit 1 ;;
  esac
}
"""


def export(resources: Sequence[Resource], folder: Path, family: str) -> list[Path]:
    """Write each resource as the body of its PUT, and `apply.sh`, which sends them in order.

    Args:
        resources: from `desired_state`.
        folder: where to; files of the same names are written over.
        family: whose first index and aliases the script makes where they are missing.

    Returns:
        The files, `apply.sh` last.

    Raises:
        InputError: the folder cannot be written.
    """
    written, calls = [], []
    bodies = [(resource.kind, resource.name, *put_request(resource)) for resource in resources]
    try:
        for kind, name, path, body in bodies:
            file = folder / f"{kind}s" / f"{name}.json"
            _write(file, body)
            written.append(file)
            calls.append(f"put {_quote(path)} {_quote(str(file.relative_to(folder)))}")
        for alias, (index, body) in first_index_bodies(family).items():
            file = folder / "indices" / f"{index}.json"
            _write(file, body)
            written.append(file)
            where = _quote(str(file.relative_to(folder)))
            calls.append(f"put_new {_quote(alias)} {_quote(index)} {where}")
        script = folder / "apply.sh"
        script.write_text("\n".join([_HEAD, *calls, ""]), encoding="utf-8")
        script.chmod(0o755)
    except OSError as e:
        raise InputError(f"{folder}: {e.strerror}", hint="name a folder that can be written") from e
    return [*written, script]


def _write(file: Path, body: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
