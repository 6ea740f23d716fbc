"""Graph calls of a phone number: ``/{phone_number_id}`` and its edges."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request

from greenline.emulator import blocks, profile
from greenline.emulator.answers import health, paged, read_body
from greenline.emulator.callbacks import prove
from greenline.emulator.calls.calling import shown_calling
from greenline.emulator.errors import MetaError, unknown_object
from greenline.emulator.fields import NUMBER, PROFILE, SETTINGS, selected
from greenline.emulator.graph_media import MediaCalls
from greenline.emulator.meta import Meta
from greenline.emulator.quotas import take
from greenline.emulator.tokens import MANAGEMENT, MESSAGING, Tokens
from greenline.emulator.world import Number, Token

_MESSAGING_EDGES: Final = ("messages", "media", "calls", "call_permissions", "block_users")
_ON_REQUEST: Final = (
    "health_status",
    "is_on_biz_app",
    "is_preverified_number",
    "quality_score",
    "webhook_configuration",
)
_REGISTRATIONS: Final = (72 * 3600.0, 10)  # Meta: Registration

Handler = Callable[[Request, Number], Awaitable[dict[str, Any]]]


class NumberCalls:
    """Calls on a number."""

    def __init__(self, meta: Meta, tokens: Tokens, media: MediaCalls) -> None:
        self._meta = meta
        self._tokens = tokens
        self._handlers: dict[tuple[str, str], Handler] = {
            ("GET", ""): self._show,
            ("POST", ""): self._change,
            ("POST", "messages"): self._messages,
            ("POST", "media"): media.upload,
            ("POST", "register"): self._register,
            ("POST", "deregister"): self._deregister,
            ("POST", "request_code"): self._succeed,
            ("POST", "verify_code"): self._succeed,
            ("GET", "settings"): self._settings,
            ("POST", "settings"): self._settings,
            ("GET", "whatsapp_business_profile"): self._profile,
            ("POST", "whatsapp_business_profile"): self._profile,
            ("GET", "block_users"): self._blocked,
            ("POST", "block_users"): self._blocked,
            ("DELETE", "block_users"): self._blocked,
            ("POST", "calls"): self._calls,
            ("GET", "call_permissions"): self._call_permissions,
        }

    async def answer(self, request: Request, number: Number, edge: list[str], token: Token) -> dict[str, Any]:
        """Answer a call on the number or one of its edges. Raises `MetaError`."""
        name = edge[0] if edge else ""
        self._tokens.permit(token, number.account_id, MESSAGING if name in _MESSAGING_EDGES else MANAGEMENT)
        handler = self._handlers.get((request.method, name))
        if handler is None or len(edge) > 1:
            raise unknown_object("/".join([number.id, *edge]))
        return await handler(request, number)

    def shown(self, request: Request, number: Number) -> dict[str, Any]:
        """What a number tells of itself, as far as it is asked. Raises `MetaError` 100 for a field that is none."""
        return selected(self._fields(number), request, NUMBER, on_request=_ON_REQUEST)

    def _fields(self, number: Number) -> dict[str, Any]:
        return {
            "verified_name": number.verified_name,
            "code_verification_status": "VERIFIED",
            "display_phone_number": number.display,
            "quality_rating": "GREEN",
            "quality_score": {"score": "GREEN"},
            "platform_type": "CLOUD_API",
            "throughput": {"level": "HIGH" if number.throughput == "HIGH" else "STANDARD"},
            "id": number.id,
            "status": "CONNECTED" if number.registered else "DISCONNECTED",
            "name_status": "APPROVED",
            "account_mode": "LIVE" if number.test_recipients is None else "SANDBOX",
            "is_pin_enabled": number.pin is not None,
            "is_official_business_account": False,
            "is_on_biz_app": number.coexists,
            "is_preverified_number": False,
            "whatsapp_business_manager_messaging_limit": self._meta.config.messaging_limit,
            "health_status": health("PHONE_NUMBER", number.id),
            "webhook_configuration": self._callbacks(number),
        }

    def _callbacks(self, number: Number) -> dict[str, str]:
        account = self._meta.world.accounts[number.account_id]
        apps = [self._meta.world.apps[app_id] for app_id in account.subscribed if app_id in self._meta.world.apps]
        found = {
            "phone_number": number.extra.get("webhook_override"),
            "whatsapp_business_account": next((url for url in account.subscribed.values() if url), None),
            "application": next((app.callback_url for app in apps if app.callback_url), None),
        }
        return {level: url for level, url in found.items() if url}

    async def _show(self, request: Request, number: Number) -> dict[str, Any]:
        return self.shown(request, number)

    async def _change(self, request: Request, number: Number) -> dict[str, Any]:
        body = await read_body(request)
        if "pin" in body:
            number.pin = _pin(body)
        configuration = body.get("webhook_configuration")
        if configuration is not None:
            if not isinstance(configuration, dict):
                raise MetaError(100, "Param webhook_configuration must be an object.")
            url = configuration.get("override_callback_uri")
            if url:
                url = await prove(self._meta.webhooks, url, configuration.get("verify_token"))
            number.extra["webhook_override"] = url or None
        return {"success": True}

    async def _messages(self, request: Request, number: Number) -> dict[str, Any]:
        body = await read_body(request)
        if body.get("messaging_product") != "whatsapp":
            raise MetaError(100, "(#100) The parameter messaging_product is required.")
        if body.get("status") == "read":
            self._meta.mark_read(number, body)
            return {"success": True}
        return self._meta.send(number, body)

    async def _calls(self, request: Request, number: Number) -> dict[str, Any]:
        return await self._meta.desk.act(number, await read_body(request), str(request.base_url).rstrip("/"))

    async def _call_permissions(self, request: Request, number: Number) -> dict[str, Any]:
        query = request.query_params
        name = (query.get("user_wa_id") or query.get("recipient") or "").lstrip("+")
        if not name:
            raise MetaError(100, "The parameter user_wa_id or recipient is required.")
        return self._meta.desk.permissions.shown(name, number)

    async def _register(self, request: Request, number: Number) -> dict[str, Any]:
        pin = _pin(await read_body(request))
        self._count_registration(number)
        if number.pin not in (None, pin):
            raise MetaError(133005, "The two-step verification PIN is wrong.")
        number.pin, number.registered = pin, True
        return {"success": True}

    async def _deregister(self, request: Request, number: Number) -> dict[str, Any]:
        self._count_registration(number)
        number.registered = False
        return {"success": True}

    def _count_registration(self, number: Number) -> None:
        if not take(number.registrations, self._meta.clock.now(), *_REGISTRATIONS):
            raise MetaError(133016, "A number is registered and deregistered at most 10 times in 72 hours.")

    async def _succeed(self, request: Request, number: Number) -> dict[str, Any]:
        return {"success": True}

    async def _settings(self, request: Request, number: Number) -> dict[str, Any]:
        if request.method == "GET":
            secret = request.query_params.get("include_sip_credentials") == "true"
            shown = {**number.settings, "calling": shown_calling(number, with_credentials=secret)}
            return selected(shown, request, SETTINGS | shown.keys())
        body = {key: value for key, value in (await read_body(request)).items() if key != "messaging_product"}
        if len(body) != 1:
            raise MetaError(100, "Exactly one feature can be set in a request.")
        if "calling" in body:
            self._meta.change_calling(number, body["calling"])
        else:
            number.settings.update(body)
        return {"success": True}

    async def _profile(self, request: Request, number: Number) -> dict[str, Any]:
        if request.method == "GET":
            return {"data": [selected(profile.shown(number), request, PROFILE)]}
        profile.change(number, await read_body(request))
        return {"success": True}

    async def _blocked(self, request: Request, number: Number) -> dict[str, Any]:
        world, now = self._meta.world, self._meta.clock.now()
        if request.method == "GET":
            return paged(blocks.listed(world, number), request)
        blocking = request.method == "POST"
        return blocks.change(world, number, await read_body(request), now, blocking=blocking)


def _pin(body: dict[str, Any]) -> str:
    pin = str(body.get("pin", ""))
    if not re.fullmatch(r"[0-9]{6}", pin):
        raise MetaError(100, "Param pin must be 6 digits.")
    return pin
