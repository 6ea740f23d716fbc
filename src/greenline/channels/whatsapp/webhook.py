"""``GET/POST /webhooks/whatsapp``: Meta's handshake and its deliveries.

A bare ASGI route: at thousands of requests a second a framework's own work would be most of the work. The 200
goes out when every event is durable, and never waits for a turn.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope

from greenline.channels.whatsapp.inbox import Inbox
from greenline.channels.whatsapp.signature import answer_handshake, is_signed
from greenline.checkpoints import checkpoint
from greenline.errors import Forbidden, GreenlineError, Unavailable
from greenline.settings import Settings
from greenline.store.outage import passes

log = structlog.get_logger(__name__)


class InvalidSignature(Forbidden):
    """The request is not signed with this app's secret. Check GREENLINE_META_APP_SECRET."""

    code = "invalid_signature"


class WebhookTooLarge(GreenlineError):
    """The body is larger than Meta ever sends. GREENLINE_WEBHOOK_MAX_BYTES raises the limit."""

    http_status = 413
    code = "request_too_large"


class Webhook:
    """The endpoint, over an inbox. ``__call__`` is its Starlette handler, ``deliver`` the way past Starlette."""

    def __init__(self, inbox: Inbox, settings: Settings) -> None:
        self._inbox = inbox
        self._secrets = settings.meta_app_secret
        self._verify_token = settings.meta_verify_token
        self._limit = settings.webhook_max_bytes

    async def __call__(self, request: Request) -> Response:
        """Answer the handshake or take a delivery; errors in the documented shape."""
        if request.method == "POST":
            return await self.deliver(request.scope, request.receive) or Response()
        try:
            return self._handshake(request)
        except GreenlineError as error:
            return _refusal(error)

    async def deliver(self, scope: Scope, receive: Receive) -> Response | None:
        """Take a delivery from ASGI; None for an empty 200. Raises ``ClientDisconnect`` when the body breaks off."""
        try:
            await self._take(scope["headers"], receive)
        except GreenlineError as error:
            return _refusal(error)
        except ClientDisconnect:
            raise
        except Exception as error:  # the boundary of one delivery
            # The commit's outcome is unknown: Meta delivers again, and the unique key absorbs what was kept.
            if passes(error):
                log.warning("webhook.not_kept", error=f"{type(error).__name__}: {error}")
            else:
                log.exception("webhook.not_kept")
            return JSONResponse({"detail": Unavailable().detail()}, 503)
        return None

    def _handshake(self, request: Request) -> Response:
        token = self._verify_token.get_secret_value() if self._verify_token else None
        challenge = answer_handshake(request.query_params, token)
        if challenge is None:
            raise Forbidden("hub.mode, hub.verify_token or hub.challenge is wrong: see GREENLINE_META_VERIFY_TOKEN.")
        return PlainTextResponse(challenge)

    async def _take(self, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> None:
        signature, length = None, b"0"
        for name, value in headers:
            if name == b"x-hub-signature-256":
                signature = value.decode("latin-1")
            elif name == b"content-length":
                length = value
        if signature is None or not self._secrets:
            raise InvalidSignature
        if int(length) > self._limit:
            raise WebhookTooLarge
        body = await self._body(receive)
        if not is_signed(body, signature, self._secrets):
            raise InvalidSignature
        checkpoint("webhook.received")
        await self._inbox.accept(body)
        checkpoint("inbox.committed")

    async def _body(self, receive: Receive) -> bytes:
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._limit:
                raise WebhookTooLarge
            more = message.get("more_body", False)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _refusal(error: GreenlineError) -> Response:
    log.warning("webhook.refused", code=error.code, status=error.http_status)
    return JSONResponse({"detail": error.detail()}, error.http_status)
