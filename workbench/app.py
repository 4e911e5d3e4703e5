"""The routes: a page, its scripts, and answers in JSON. Work that waits is done in threads."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection
from importlib import resources
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ranking.errors import InputError, RankError, ServerError
from ranking.html_file import base_style
from replay.report.html_file import asset
from workbench import reports, saving
from workbench.asked import CapturedSearch, Draft, Items, LiveSearch, read
from workbench.guard import Guard
from workbench.state import Workbench

MAX_BODY: Final = 256_000  # bytes
_TYPES = {"svg": "image/svg+xml", "js": "text/javascript", "css": "text/css"}
_OF_THE_REPORT = (  # the page ranks, takes apart and looks as a report does: these files are the report's
    *("tools.js", "formula.js", "ranking.js", "tip.js", "controls.js", "parts.js"),
    *("base.css", "report.css", "searches.css"),
)
_OWN = (
    *("main.js", "asking.js", "answer.js", "state.js", "form.js", "lab.js", "tiles.js", "sides.js"),
    *("explained.js", "captures.js", "reports.js", "save.js", "keys.js", "workbench.css", "icon.svg"),
)


def create_app(workbench: Workbench, hosts: Collection[str]) -> Starlette:
    """The application.

    Args:
        workbench: what it serves.
        hosts: allowed Host headers, such as `127.0.0.1:8642`.
    """
    bench = workbench

    async def page(_request: Request) -> Response:
        return Response(_own("index.html"), media_type="text/html")

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name in _OF_THE_REPORT:
            text = base_style() if name == "base.css" else asset(name)
        elif name in _OWN:
            text = _own(name)
        else:
            raise HTTPException(404, "no such file")
        return Response(text, media_type=_TYPES[name.rpartition(".")[2]])

    async def start(_request: Request) -> Response:
        return _json(await run_in_threadpool(bench.start))

    async def compare(request: Request) -> Response:
        asked = read(LiveSearch, await _body(request))
        return _json(await run_in_threadpool(lambda: _with_items(bench, bench.live.compare(asked))))

    async def items(request: Request) -> Response:
        asked = read(Items, await _body(request))
        return _json({"items": await run_in_threadpool(bench.photos.rows, asked.ids)})

    async def photo(request: Request) -> Response:
        item_id = request.query_params.get("item", "")
        if not 0 < len(item_id) <= 512:
            raise HTTPException(404, "no such photo")
        found = await run_in_threadpool(bench.photos.photo, item_id)
        if found is None:
            raise HTTPException(404, "no such photo")
        return Response(found, media_type="image/webp", headers={"Cache-Control": "private, max-age=300"})

    async def captures(request: Request) -> Response:
        if bench.captures is None:
            raise InputError("no captures are served", hint="start `rank-cli serve` with --captures DIR")
        text, start_at = request.query_params.get("text", ""), request.query_params.get("start", "0")
        if len(text) > 1_000 or not start_at.isascii() or not start_at.isdecimal() or len(start_at) > 9:
            raise InputError("text has up to 1000 letters, and start is a number", hint="load the page again")
        return _json(await run_in_threadpool(bench.captures.rows, text, int(start_at)))

    async def replay(request: Request) -> Response:
        asked = read(CapturedSearch, await _body(request))
        captures = bench.captures
        if captures is None:
            raise InputError("no captures are served", hint="start `rank-cli serve` with --captures DIR")
        return _json(await run_in_threadpool(lambda: _with_items(bench, captures.replay(asked))))

    async def report_list(_request: Request) -> Response:
        folder = bench.reports_folder
        found = [] if folder is None else await run_in_threadpool(reports.list_reports, folder)
        return _json({"reports": found})

    async def report(request: Request) -> Response:
        folder = bench.reports_folder
        path = None if folder is None else reports.find_report(folder, request.query_params.get("name", ""))
        if path is None:
            raise HTTPException(404, "no such report")
        return FileResponse(path, media_type="text/html", headers={"Content-Security-Policy": reports.POLICY})

    async def draft(request: Request) -> Response:
        asked = read(Draft, await _body(request))
        return _json((await run_in_threadpool(saving.draft, asked, bench.catalog))[1])

    async def save(request: Request) -> Response:
        folder = bench.save_folder
        if folder is None:
            raise HTTPException(403, "this page is read-only: start `rank-cli serve` with --allow-save DIR")
        given = request.headers.get("x-rank-token", "")
        if not secrets.compare_digest(given.encode(), bench.token.encode()):
            raise HTTPException(
                403, "not saved: open the address that `rank-cli serve` printed, with its token"
            )
        asked = read(Draft, await _body(request))
        return _json(await run_in_threadpool(saving.save, asked, bench.catalog, folder))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/assets/{name}", static),
            Route("/api/start", start),
            Route("/api/compare", compare, methods=["POST"]),
            Route("/api/items", items, methods=["POST"]),
            Route("/api/captures", captures),
            Route("/api/replay", replay, methods=["POST"]),
            Route("/api/reports", report_list),
            Route("/api/draft", draft, methods=["POST"]),
            Route("/api/save", save, methods=["POST"]),
            Route("/photo", photo),
            Route("/report", report),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={RankError: _refused, HTTPException: _not_found, Exception: _our_fault},
    )


def _with_items(bench: Workbench, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with the cards of the two pages; where the cluster does not give them, with the reason."""
    ids = answer["item_ids"]
    shown = sorted({ids[place] for side in answer["sides"] for place in side["found"]["items"]})
    try:
        return {**answer, "items": bench.photos.rows(shown)}
    except ServerError as e:
        if answer["kind"] == "live":
            raise
        return {**answer, "items": {}, "problem": f"no titles and photos: {e}"}


async def _body(request: Request) -> Any:
    """The JSON of a request, of a bounded length.

    Raises:
        InputError: too long, or not JSON.
    """
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > MAX_BODY:
            raise InputError(f"a request may have {MAX_BODY} bytes", hint="ask for less at once")
        parts.append(part)
    try:
        return json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        raise InputError("the request is not JSON", hint="load the page again") from None


def _json(data: dict[str, Any]) -> Response:
    """JSON without a letter that HTML could read as markup."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Response(text, media_type="application/json")


def _own(name: str) -> str:
    return (resources.files("workbench") / "assets" / name).read_text(encoding="utf-8")


async def _refused(_request: Request, error: Exception) -> Response:
    hint = getattr(error, "hint", None)
    return JSONResponse({"error": str(error), "hint": hint}, 502 if isinstance(error, ServerError) else 400)


async def _not_found(_request: Request, error: Exception) -> Response:
    status, detail = getattr(error, "status_code", 404), getattr(error, "detail", "")
    return JSONResponse({"error": detail or "no such page"}, status)


async def _our_fault(_request: Request, _error: Exception) -> Response:
    message = {"error": "the server made a mistake: its terminal shows where", "hint": "this is a bug"}
    return JSONResponse(message, 500)


__all__ = ["MAX_BODY", "create_app"]
