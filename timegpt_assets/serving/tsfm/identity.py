"""Who asks: the id of each request, given or made, and the bearer token.

Belongs here: what is known of a request before it is read. The token is compared in constant time and is in no log.
"""

import hmac
import re
import uuid

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
TOKEN = "TSFM_SERVICE_TOKEN"  # noqa: S105 - the variable's name
_GOOD = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestIds:
    """Gives every request an id, the caller's where it is one, in ``scope["state"]`` and in the answer's headers."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER.encode(), b"").decode("latin-1")
        own = given if _GOOD.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = own

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = own
            await send(message)

        await self.app(scope, receive, named)


def is_let_in(authorization: str | None, token: str | None) -> bool:
    """Return whether a request may ask: nobody needs a token where none is set."""
    if token is None:
        return True
    kind, _, said = (authorization or "").partition(" ")
    # bytes: a text that is not ASCII cannot be compared in constant time
    return kind.lower() == "bearer" and hmac.compare_digest(said.strip().encode(), token.encode())
