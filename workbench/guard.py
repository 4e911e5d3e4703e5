"""What stands before every request: whom the page answers to, and what it tells the browser to refuse.

Host            must be an address that this server was given: another one is a foreign name that was
                pointed at this machine (DNS rebinding)
Sec-Fetch-Site  a request for data must not come from another site's page
Origin          whatever is posted must come from this very page
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_ALWAYS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PAGES: Final = ("/", "/report")  # may be opened by a link on another page


class Guard:
    """Refuses, then adds the headers that every answer has; a header that is set already stays.

    Args:
        app: what is guarded.
        hosts: allowed Host headers in lower case, such as `127.0.0.1:8642`.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app, self.hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        answer = self.app if refused is None else JSONResponse({"error": refused}, 403)
        await answer(scope, receive, send_guarded)

    def _refusal(self, method: str, path: str, headers: Headers) -> str | None:
        """Why the request is refused, in one sentence; None where it is not."""
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            return (
                f"refused: {host!r} is not an address of this server; open {' or '.join(sorted(self.hosts))}"
            )
        site = headers.get("sec-fetch-site", "none")
        if path not in _PAGES and site not in ("same-origin", "none"):
            return "refused: the request comes from another site's page"
        if method not in ("GET", "HEAD"):
            if headers.get("origin", "").lower() != f"http://{host}":
                return "refused: what is posted must come from this page (the Origin header is another)"
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return "refused: what is posted must be JSON"
        return None


__all__ = ["POLICY", "Guard"]
