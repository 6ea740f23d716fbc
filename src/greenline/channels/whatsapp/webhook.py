"""``GET/POST /webhooks/whatsapp``: Meta's handshake and its deliveries.

A bare ASGI route: at thousands of requests a second a framework's own work would be most of the work. The 200
goes out when every event is durable, and never waits for a turn.
"""

from __future__ import annotations

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from greenline.channels.whatsapp.inbox import Inbox
from greenline.channels.whatsapp.signature import answer_handshake, is_signed
from greenline.checkpoints import checkpoint
from greenline.errors import Forbidden, GreenlineError, Unavailable
from greenline.settings import Settings

log = structlog.get_logger(__name__)


class InvalidSignature(Forbidden):
    """The request is not signed with this app's secret. Check GREENLINE_META_APP_SECRET."""

    code = "invalid_signature"


class WebhookTooLarge(GreenlineError):
    """The body is larger than Meta ever sends. GREENLINE_WEBHOOK_MAX_BYTES raises the limit."""

    http_status = 413
    code = "request_too_large"


class Webhook:
    """The endpoint, over an inbox. ``__call__`` is its Starlette handler."""

    def __init__(self, inbox: Inbox, settings: Settings) -> None:
        self._inbox = inbox
        self._secrets = settings.meta_app_secret
        self._verify_token = settings.meta_verify_token
        self._limit = settings.webhook_max_bytes

    async def __call__(self, request: Request) -> Response:
        """Answer the handshake or take a delivery; errors in the documented shape."""
        try:
            if request.method == "POST":
                await self._take(request)
                return Response()  # empty: a body would be a second write to the socket
            return self._handshake(request)
        except GreenlineError as error:
            log.warning("webhook.refused", code=error.code, status=error.http_status)
            return JSONResponse({"detail": error.detail()}, error.http_status)
        except ClientDisconnect as error:
            raise HTTPException(400) from error
        except Exception:
            # The commit's outcome is unknown: Meta delivers again, and the unique key absorbs what was kept.
            log.exception("webhook.not_kept")
            return JSONResponse({"detail": Unavailable().detail()}, 503)

    def _handshake(self, request: Request) -> Response:
        token = self._verify_token.get_secret_value() if self._verify_token else None
        challenge = answer_handshake(request.query_params, token)
        if challenge is None:
            raise Forbidden("hub.mode or hub.verify_token is wrong. Compare GREENLINE_META_VERIFY_TOKEN.")
        return PlainTextResponse(challenge)

    async def _take(self, request: Request) -> None:
        signature = request.headers.get("x-hub-signature-256")
        if signature is None or not self._secrets:
            raise InvalidSignature
        body = await self._body(request)
        if not is_signed(body, signature, self._secrets):
            raise InvalidSignature
        checkpoint("webhook.received")
        await self._inbox.accept(body)
        checkpoint("inbox.committed")

    async def _body(self, request: Request) -> bytes:
        if int(request.headers.get("content-length") or 0) > self._limit:
            raise WebhookTooLarge
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self._limit:
                raise WebhookTooLarge
            chunks.append(chunk)
        return b"".join(chunks)
