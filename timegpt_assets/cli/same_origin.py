"""The check before the UI: only its own pages may ask it for anything that costs or changes.

Dagster's webserver has no login and takes mutations by GET, as text/plain and from any page that is open in the same
browser, so that a stranger's page could launch a paid run. Belongs here: what is refused, and why; pure ASGI.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
READING = ("GET", "HEAD", "OPTIONS")
NEVER_SIMPLE = ("application/json", "application/graphql")
"""Content types that a browser sends to another origin only after asking it, which Dagster never answers."""


@dataclass(frozen=True, slots=True)
class SameOrigin:
    """An ASGI application behind the check; ``names`` are the host names it is reached by beside loopback."""

    app: App
    names: tuple[str, ...] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 403."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        why = self.refused(scope)
        if not why:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why})
        else:
            await PlainTextResponse(f"{why}\n", status_code=403)(scope, receive, send)

    def refused(self, scope: Scope) -> str:
        """Return why the request is not let in, nothing when it is."""
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        # a stranger's name may be made to resolve to 127.0.0.1: its page would then be of the same origin as ours
        if len(hosts) != 1 or _name(hosts[0]) not in (*LOOPBACK, *self.names):
            return f"Host {hosts} is no name of this server. Start it with --host NAME to reach it by another one."
        # absent is let in: browsers send it with whatever can change something, other programs need not
        if any(urlsplit(origin).netloc != hosts[0] or not origin.startswith("http") for origin in origins):
            return f"Origin {origins} is another site. Only this server's own pages may ask it."
        if scope["type"] == "websocket":
            return ""
        if scope["method"] in READING:
            # a visit that wants HTML is given the page alone, which then asks by POST
            asks = scope["path"].rstrip("/").endswith("/graphql") and "text/html" not in headers.get("accept", "")
            return "GraphQL is asked by POST here: a link or a picture in any page could ask by GET." * asks
        # JSON is sent to another origin only after a preflight: a form or a plain fetch cannot pose as one
        kinds = [kind.partition(";")[0].strip().lower() for kind in headers.getlist("content-type")]
        if len(kinds) != 1 or kinds[0] not in NEVER_SIMPLE:
            return f"Content-Type {kinds} is refused: any page could send that. Send application/json."
        return ""


def _name(host: str) -> str:
    """Return the host's name without its port, lower case; nothing for what cannot be one."""
    try:
        return (urlsplit(f"//{host}").hostname or "") if "@" not in host and "/" not in host else ""
    except ValueError:
        return ""
