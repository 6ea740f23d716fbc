"""What pages of any site may read: every answer of a route that needs no key, its refusals too.

There is no cookie that another page could borrow.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CORS: Final = {"access-control-allow-origin": "*"}
PREFLIGHT: Final = {
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": "600",
}
_ROUTES: Final = re.compile(
    r"/v1/convai/(conversation/token|conversations/[^/]+/(files|feedback)|agents/[^/]+/widget)"
)


class Readable:
    """Lets pages read those answers, whoever gives them: a route, what handles its errors, or a limit before it.

    Of an answer that it may not read a page learns nothing, not even that the file was too large.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(CORS)
            await send(message)

        readable = scope["type"] == "http" and _ROUTES.fullmatch(scope["path"])
        await self._app(scope, receive, send_readable if readable else send)
