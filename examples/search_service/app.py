"""The HTTP side: search, events, health.

    uvicorn --factory examples.search_service:create_app --port 8080

The user waits for the page alone; windows, captures and events are written behind it. SIGTERM lets requests
under way end, and writes what was captured before the process goes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from examples.search_service.config import Config
from examples.search_service.events import EventBuffer
from examples.search_service.live import LiveProfile
from ranking.capture import Event
from ranking.clock import now_ms
from ranking.errors import RankError
from ranking.es import connect, server_errors
from ranking.settings import get_settings

Platform = Literal["web", "ios", "android"]
Id = Annotated[str | None, Query(max_length=200)]


class Action(BaseModel):
    """Something that a user did with an item of a page."""

    search_id: str = Field(max_length=200)
    item_id: str = Field(max_length=200)
    action: Literal["click", "purchase"] = "click"
    rank: int | None = Field(default=None, ge=1)  # 1-based place at which it was shown


class Actions(BaseModel):
    """What a client sends at once."""

    events: list[Action] = Field(min_length=1, max_length=1000)


def create_app(config: Config | None = None) -> FastAPI:
    """The service; it connects when it starts."""
    config = config or Config()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        es, index = connect(check=False), get_settings().index
        live = LiveProfile(
            es, index, config.profile, config.captures, sample=config.sample, refresh_s=config.refresh_s
        )
        events = EventBuffer(config.captures, config.flush_s)
        app.state.es, app.state.live, app.state.events = es, live, events
        yield
        live.close()
        events.close()
        es.close()

    app = FastAPI(title="Search", lifespan=lifespan)

    @app.exception_handler(RankError)
    def failed(_request: Request, error: RankError) -> JSONResponse:
        return JSONResponse({"error": str(error), "hint": error.hint}, status_code=503)

    @app.get("/search")
    def search(
        *,
        request: Request,
        q: Annotated[str, Query(min_length=1, max_length=500)],
        platform: Platform | None = None,
        user_id: Id = None,
        session_id: Id = None,
        category: Id = None,
        size: Annotated[int | None, Query(ge=1, le=100)] = None,
    ) -> dict[str, Any]:
        live: LiveProfile = request.app.state.live
        served, clock = live.for_user(user_id), now_ms()
        found = served.recorder.search(
            q,
            now_ms=clock,
            platform=platform,
            user_id=user_id,
            session_id=session_id,
            arm=served.arm,
            size=size,
            filters={"category": category} if category else None,
        )
        return {
            "search_id": found.search_id,
            "profile": served.version.label,
            "arm": served.arm,
            "now_ms": clock,
            "took_ms": found.page.took_ms,
            "total_hits": found.page.total_hits,
            "items": [
                {
                    "item_id": item.item_id,
                    "rank": item.rank,
                    "score": item.score,
                    "image_score": item.image_score,
                    "price": item.price,
                }
                for item in found.page.items
            ],
        }

    @app.post("/events", status_code=202)
    def take(request: Request, actions: Actions) -> dict[str, int]:
        at_ms = now_ms()
        events: EventBuffer = request.app.state.events
        events.add(Event(one.search_id, one.item_id, one.action, one.rank, at_ms) for one in actions.events)
        return {"accepted": len(actions.events)}

    @app.get("/healthz")
    def alive() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    def ready(request: Request, response: Response) -> dict[str, Any]:
        live: LiveProfile = request.app.state.live
        try:
            label = live.for_user(None).version.label
            with server_errors():
                request.app.state.es.options(request_timeout=2).count(
                    index=get_settings().index, terminate_after=1
                )
        except RankError as e:
            response.status_code = 503
            return {"status": "not ready", "why": str(e)}
        captured = {version: asdict(stats) for version, stats in live.stats().items()}
        return {"status": "ready", "profile": label, "problem": live.problem, "captured": captured}

    return app
