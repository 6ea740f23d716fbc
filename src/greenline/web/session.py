"""Who uses the console: a workspace's API key, sealed in a cookie that only this server can read.

There is nothing to store: a sign-in holds over restarts and on every replica that has the key of secrets, and ends
within seconds when the API key is revoked.
"""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Final, cast
from urllib.parse import parse_qs

import orjson
from fastapi import FastAPI
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.status import HTTP_303_SEE_OTHER, HTTP_403_FORBIDDEN, HTTP_413_CONTENT_TOO_LARGE

from greenline.api.deps import AppServices
from greenline.api.errors import DATABASE_GONE
from greenline.clock import Clock
from greenline.errors import InvalidApiKey
from greenline.store.outage import OUTAGE
from greenline.store.vault import SecretUnreadable, Vault
from greenline.web import ticket

COOKIE: Final = "greenline_console"
LIFE: Final = timedelta(days=7)
FORM_MAX_BYTES: Final = 4096
_CONTEXT: Final = "console session"

SIGN_IN: Final = "/console/sign-in"
SIGN_OUT: Final = "/console/sign-out"


def install(app: FastAPI) -> None:
    """Answer the forms of the console, and its link with a ticket."""
    app.add_route(SIGN_IN, sign_in, methods=["GET", "POST"], include_in_schema=False)
    app.add_route(SIGN_OUT, sign_out, methods=["POST"], include_in_schema=False)


async def sign_in(request: Request) -> Response:
    """Take the key of the form, or the ticket of a link, and go to the console."""
    if not is_same_site(request):
        return Response("The form was sent from another site.", HTTP_403_FORBIDDEN)
    services = cast("AppServices", request.app.state.services)
    try:
        if request.method == "GET":
            shown = request.query_params.get("ticket", "")
            key = await ticket.use(services.vault, services.clock, services.pool, shown) or ""
        else:
            body = await _form(request)
            if body is None:
                return Response("The form is too large.", HTTP_413_CONTENT_TOO_LARGE)
            key = body.get("key", [""])[0]
        await services.keyring.authenticate(key.strip())
    except InvalidApiKey:
        return _refuse("link" if request.method == "GET" else "key")
    except (OSError, *DATABASE_GONE) as error:
        OUTAGE.tell(error, "console")
        return _refuse("database")
    answer = RedirectResponse("/console", HTTP_303_SEE_OTHER)
    answer.set_cookie(
        COOKIE,
        seal(services.vault, services.clock, key.strip()),
        max_age=int(LIFE.total_seconds()),
        path="/console",
        secure=URL(services.settings.public_url or str(request.url)).scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


def _refuse(why: str) -> Response:
    return RedirectResponse(f"/console?refused={why}", HTTP_303_SEE_OTHER)


async def sign_out(request: Request) -> Response:
    """Forget the sign-in."""
    if not is_same_site(request):
        return Response("The form was sent from another site.", HTTP_403_FORBIDDEN)
    answer = RedirectResponse("/console", HTTP_303_SEE_OTHER)
    answer.delete_cookie(COOKIE, path="/console")
    return answer


def ticket_link(url: str, made: str) -> str:
    """The address that signs in with a ticket, on a server that is reached under ``url``."""
    return f"{url.rstrip('/')}{SIGN_IN}?ticket={made}"


def seal(vault: Vault, clock: Clock, key: str) -> str:
    """The cookie that keeps a sign-in."""
    content = orjson.dumps({"key": key, "until": (clock.now() + LIFE).timestamp()}).decode()
    return base64.urlsafe_b64encode(vault.seal(content, _CONTEXT)).decode()


def unseal(vault: Vault, clock: Clock, cookie: str) -> str | None:
    """The key of a cookie; None for one that is too old, or not ours."""
    try:
        content = orjson.loads(vault.open(base64.b64decode(cookie, altchars=b"-_", validate=True), _CONTEXT))
    except (SecretUnreadable, binascii.Error, ValueError):
        return None
    return str(content["key"]) if content["until"] > clock.now().timestamp() else None


async def _form(request: Request) -> dict[str, list[str]] | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_MAX_BYTES:
            return None
    return parse_qs(body.decode("utf-8", "replace"))


def is_same_site(request: Request) -> bool:
    """Other sites must not sign a person in or out, nor speak for one.

    Browsers tell; a typed or terminal's link has no origin.
    """
    return request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
