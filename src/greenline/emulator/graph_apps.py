"""Graph calls of apps: exchange of codes, ``debug_token``, the callback and its fields."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from greenline.emulator.answers import access_token, read_body
from greenline.emulator.callbacks import prove
from greenline.emulator.errors import MetaError, unknown_object
from greenline.emulator.meta import Meta
from greenline.emulator.tokens import Tokens


class AppCalls:
    """Calls that an app makes for itself, with its id and secret."""

    def __init__(self, meta: Meta, tokens: Tokens) -> None:
        self._meta = meta
        self._tokens = tokens

    async def exchange(self, request: Request) -> dict[str, Any]:
        """``GET /oauth/access_token``: the token of an Embedded Signup code, or that of the app itself."""
        asked = await read_body(request)
        app = self._meta.world.apps.get(str(asked.get("client_id")))
        if app is None or app.secret != asked.get("client_secret"):
            raise MetaError(1, "Error validating client secret.", status=400)
        if asked.get("grant_type") == "client_credentials":
            return {"access_token": f"{app.id}|{app.secret}", "token_type": "bearer"}
        value, until = self._meta.world.codes.pop(str(asked.get("code")), ("", 0.0))
        if not value or until <= self._meta.clock.now():
            raise MetaError(100, "This authorization code has expired or has been used.", subcode=36007)
        return {"access_token": value, "token_type": "bearer"}

    async def debug(self, request: Request) -> dict[str, Any]:
        """``GET /debug_token`` with an app token."""
        self._tokens.app(await access_token(request))
        return self._tokens.described(request.query_params.get("input_token", ""))

    async def subscriptions(self, request: Request, app_id: str) -> dict[str, Any]:
        """``GET``/``POST /{app_id}/subscriptions``: the callback of the app."""
        body = await read_body(request)
        app = self._tokens.app(await access_token(request))
        if app.id != app_id:
            raise unknown_object(app_id)
        if request.method == "POST":
            url = await prove(self._meta.webhooks, body.get("callback_url"), body.get("verify_token"), code=2200)
            app.callback_url, app.verify_token = url, str(body.get("verify_token") or "")
            names = body.get("fields") or ""
            app.fields = {str(name) for name in (names if isinstance(names, list) else str(names).split(","))} - {""}
            return {"success": True}
        if request.method != "GET":
            raise unknown_object(f"{app_id}/subscriptions")
        fields = [{"name": name, "version": "v24.0"} for name in sorted(app.fields)]
        entry = {
            "object": "whatsapp_business_account",
            "callback_url": app.callback_url,
            "active": True,
            "fields": fields,
        }
        return {"data": [entry] if app.callback_url else []}
