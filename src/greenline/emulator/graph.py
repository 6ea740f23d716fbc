"""The Graph API of the emulator: ``/v17.0`` to ``/v26.0``, with Meta's checks of tokens and its error envelope."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from greenline.emulator import blocks, templates
from greenline.emulator.answers import health, paged, read_body, selected
from greenline.emulator.calls.calling import shown_calling
from greenline.emulator.errors import MetaError, unknown_object
from greenline.emulator.fault_kinds import (
    GraphError,
    GraphTimeout,
    MediaExpired,
    ResetAfterAccept,
    ResetBeforeAccept,
    Slow,
    TokenExpired,
)
from greenline.emulator.faults import F
from greenline.emulator.media import UPLOADED_SECONDS, check_upload
from greenline.emulator.meta import Meta
from greenline.emulator.world import Account, App, Number, Token

_VERSION: Final = re.compile(r"^v(1[7-9]|2[0-6])\.0$")

Handler = Callable[[Request, list[str]], Awaitable[dict[str, Any]]]


class Graph:
    """Routes a call by its path to the node or edge that answers it."""

    def __init__(self, meta: Meta) -> None:
        self._meta = meta

    async def __call__(self, request: Request) -> Response:
        """Answer a call, with the faults that are set."""
        trace = secrets.token_urlsafe(8)
        meta, path = self._meta, request.url.path
        call: dict[str, Any] = {"method": request.method, "path": path, "sends": None}
        call |= {"status": 200, "error": None, "faults": []}
        meta.graph_calls.append(call)
        parts = [part for part in path.split("/") if part]
        try:
            if not _VERSION.match(parts[0]):
                raise MetaError(100, f"Unknown path components: {path}", status=400)
            answer = await self._with_faults(request, parts, call)
        except ConnectionReset:
            call["status"] = None
            raise
        except MetaError as error:
            call["status"], call["error"] = error.status, error.code
            response: Response = error.response(trace)
        except (json.JSONDecodeError, UnicodeDecodeError):
            call["status"], call["error"] = 400, 100
            response = MetaError(100, "Invalid JSON in the body.").response(trace)
        else:
            response = JSONResponse(answer)
        meta.journal.add("graph.request", **call)
        return response

    async def _with_faults(self, request: Request, parts: list[str], call: dict[str, Any]) -> dict[str, Any]:
        meta = self._meta
        call["sends"] = await _what_is_sent(request, parts)
        about = {
            "path": "/".join(parts[1:]),
            "phone_number_id": parts[1] if len(parts) > 1 else "",
            "edge": parts[-1],
            "sends": call["sends"],
        }

        def acting(kind: type[F]) -> F | None:
            fault = meta.faults.acting(kind, **about)
            if fault is not None:
                call["faults"].append(fault.name)
            return fault

        if slow := acting(Slow):
            await meta.clock.sleep(slow.seconds)
        if wrong := acting(GraphError):
            raise MetaError(wrong.code, "A fault was set.", status=wrong.http_status, subcode=wrong.subcode)
        if acting(ResetBeforeAccept):
            raise ConnectionReset
        late = acting(GraphTimeout)
        if late is not None and not late.accepted:
            await meta.clock.sleep(late.seconds)
            raise MetaError(2, "A fault was set.", status=503)
        answer = await self._answer(request, parts)
        if meta.config.accept_delay:
            await meta.clock.sleep(meta.config.accept_delay)
        if late is not None:
            await meta.clock.sleep(late.seconds)
        if acting(ResetAfterAccept):
            raise ConnectionReset
        return answer

    async def _answer(self, request: Request, parts: list[str]) -> dict[str, Any]:
        method, path = request.method, parts[1:]
        if path == ["oauth", "access_token"]:
            return self._exchange(dict(request.query_params))
        if path == ["debug_token"]:
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
            return self._debug({"access_token": bearer, **request.query_params})
        if len(path) == 2 and path[1] == "subscriptions":
            return await self._subscriptions(request, path[0])
        token = self._token(request)
        world = self._meta.world
        if path and path[0] in world.numbers:
            return await self._number(request, method, world.numbers[path[0]], path[1:], token)
        if path and path[0] in world.accounts:
            return await self._account(request, method, world.accounts[path[0]], path[1:], token)
        if len(path) == 1:
            return await self._object(request, method, path[0], token)
        raise unknown_object("/".join(path))

    # Tokens and apps

    def _token(self, request: Request) -> Token:
        meta = self._meta
        value = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        value = value or request.query_params.get("access_token", "")
        if not value:
            raise MetaError(190, "An access token is required to request this resource.")
        token = meta.world.tokens.get(value)
        if token is None or token.revoked:
            raise MetaError(190, "Invalid OAuth access token.", subcode=467)
        expired = token.expires_at is not None and token.expires_at <= meta.clock.now()
        if expired or meta.faults.acting(TokenExpired, token=value):
            raise MetaError(190, "Error validating access token: Session has expired.", subcode=463)
        return token

    def _allow(self, token: Token, account_id: str) -> None:
        if account_id not in token.account_ids:
            raise unknown_object(account_id)

    def _app(self, value: str) -> App:
        app_id, _, secret = value.partition("|")
        app = self._meta.world.apps.get(app_id)
        if app is None or app.secret != secret:
            raise MetaError(190, "Invalid OAuth access token signature.")
        return app

    def _exchange(self, query: dict[str, str]) -> dict[str, Any]:
        app = self._meta.world.apps.get(query.get("client_id", ""))
        if app is None or app.secret != query.get("client_secret"):
            raise MetaError(1, "Error validating client secret.", status=400)
        value, until = self._meta.world.codes.pop(query.get("code", ""), ("", 0.0))
        if not value or until <= self._meta.clock.now():
            raise MetaError(100, "This authorization code has expired or has been used.", subcode=36007)
        return {"access_token": value, "token_type": "bearer"}

    def _debug(self, query: dict[str, str]) -> dict[str, Any]:
        self._app(query.get("access_token", "") or "|")
        token = self._meta.world.tokens.get(query.get("input_token", ""))
        if token is None:
            return {"data": {"is_valid": False, "error": {"code": 190, "message": "Invalid OAuth access token."}}}
        now = self._meta.clock.now()
        valid = not token.revoked and (token.expires_at is None or token.expires_at > now)
        scopes = [{"scope": scope, "target_ids": sorted(token.account_ids)} for scope in token.scopes[1:]]
        return {
            "data": {
                "app_id": token.app_id,
                "type": "SYSTEM_USER",
                "is_valid": valid,
                "expires_at": int(token.expires_at or 0),
                "data_access_expires_at": 0,
                "scopes": list(token.scopes),
                "granular_scopes": scopes,
            }
        }

    async def _subscriptions(self, request: Request, app_id: str) -> dict[str, Any]:
        body = await read_body(request)
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        app = self._app(bearer or str(body.get("access_token") or request.query_params.get("access_token", "|")))
        if app.id != app_id:
            raise unknown_object(app_id)
        if request.method == "POST":
            result = await self._meta.webhooks.verify(str(body.get("callback_url")), str(body.get("verify_token")))
            if not result["ok"]:
                raise MetaError(2200, f"Callback verification failed: {result}", status=400)
            app.callback_url, app.verify_token = str(body["callback_url"]), str(body["verify_token"])
            names = body.get("fields") or ""
            app.fields = set(names if isinstance(names, list) else str(names).split(",")) - {""}
            return {"success": True}
        fields = [{"name": name, "version": "v24.0"} for name in sorted(app.fields)]
        entry = {
            "object": "whatsapp_business_account",
            "callback_url": app.callback_url,
            "active": True,
            "fields": fields,
        }
        return {"data": [entry] if app.callback_url else []}

    # Numbers

    async def _number(
        self, request: Request, method: str, number: Number, edge: list[str], token: Token
    ) -> dict[str, Any]:
        self._allow(token, number.account_id)
        if not edge:
            if method == "GET":
                return selected(self._number_fields(number), request)
            return await self._change_number(request, number)
        handlers: dict[tuple[str, str], Callable[[Request, Number], Awaitable[dict[str, Any]]]] = {
            ("POST", "messages"): self._messages,
            ("POST", "media"): self._upload,
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
            ("POST", "calls"): self._calls,
            ("GET", "call_permissions"): self._call_permissions,
            ("DELETE", "block_users"): self._blocked,
        }
        handler = handlers.get((method, edge[0]))
        if handler is None or len(edge) > 1:
            raise unknown_object("/".join([number.id, *edge]))
        return await handler(request, number)

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
        return self._meta.desk.permission_of(name, number)

    async def _upload(self, request: Request, number: Number) -> dict[str, Any]:
        form = await request.form()
        file = form.get("file")
        if form.get("messaging_product") != "whatsapp" or file is None or isinstance(file, str):
            raise MetaError(100, "The parameters messaging_product and file are required.")
        data = await file.read()
        mime_type = check_upload(str(form.get("type") or file.content_type or ""), data)
        expires = self._meta.clock.now() + UPLOADED_SECONDS
        return {"id": self._meta.media.add(number.id, mime_type, data, file.filename, expires).id}

    async def _register(self, request: Request, number: Number) -> dict[str, Any]:
        pin = str((await read_body(request)).get("pin", ""))
        if not re.fullmatch(r"\d{6}", pin):
            raise MetaError(100, "Param pin must be 6 digits.")
        if number.pin not in (None, pin):
            raise MetaError(133005, "The two-step verification PIN is wrong.")
        number.pin, number.registered = pin, True
        return {"success": True}

    async def _deregister(self, request: Request, number: Number) -> dict[str, Any]:
        number.registered = False
        return {"success": True}

    async def _succeed(self, request: Request, number: Number) -> dict[str, Any]:
        return {"success": True}

    async def _settings(self, request: Request, number: Number) -> dict[str, Any]:
        if request.method == "GET":
            secret = request.query_params.get("include_sip_credentials") == "true"
            return {**number.settings, "calling": shown_calling(number, with_credentials=secret)}
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
            return {"data": [{"messaging_product": "whatsapp", **number.profile}]}
        number.profile.update(await read_body(request))
        return {"success": True}

    async def _blocked(self, request: Request, number: Number) -> dict[str, Any]:
        world, now = self._meta.world, self._meta.clock.now()
        if request.method == "GET":
            return paged(blocks.listed(world, number), request)
        blocking = request.method == "POST"
        return blocks.change(world, number, await read_body(request), now, blocking=blocking)

    async def _change_number(self, request: Request, number: Number) -> dict[str, Any]:
        body = await read_body(request)
        if "pin" in body:
            number.pin = str(body["pin"])
        if isinstance(body.get("webhook_configuration"), dict):
            number.extra["webhook_override"] = body["webhook_configuration"].get("override_callback_uri") or None
        return {"success": True}

    def _number_fields(self, number: Number) -> dict[str, Any]:
        return {
            "verified_name": number.verified_name,
            "code_verification_status": "VERIFIED",
            "display_phone_number": number.display,
            "quality_rating": "GREEN",
            "platform_type": "CLOUD_API",
            "throughput": {"level": "STANDARD"},
            "id": number.id,
            "status": "CONNECTED" if number.registered else "DISCONNECTED",
            "name_status": "APPROVED",
            "account_mode": "LIVE",
            "is_pin_enabled": number.pin is not None,
            "is_official_business_account": False,
            "whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED",
            "health_status": health("PHONE_NUMBER", number.id),
            **number.extra,
        }

    # Business accounts

    async def _account(
        self, request: Request, method: str, account: Account, edge: list[str], token: Token
    ) -> dict[str, Any]:
        self._allow(token, account.id)
        if not edge and method == "GET":
            fields: dict[str, Any] = {"id": account.id, "name": account.name, "currency": "EUR", "timezone_id": "1"}
            fields["health_status"] = health("WABA", account.id)
            return selected(fields, request, default=("id", "name"))
        if edge == ["phone_numbers"] and method == "GET":
            numbers = [n for n in self._meta.world.numbers.values() if n.account_id == account.id]
            return paged([selected(self._number_fields(number), request) for number in numbers], request)
        if edge == ["subscribed_apps"]:
            return await self._subscribed(request, account, token)
        if edge == ["message_templates"]:
            return await self._templates(request, account)
        raise unknown_object("/".join([account.id, *edge]))

    async def _subscribed(self, request: Request, account: Account, token: Token) -> dict[str, Any]:
        if request.method == "POST":
            override = (await read_body(request)).get("override_callback_uri")
            if override:
                result = await self._meta.webhooks.verify(
                    str(override), str((await read_body(request)).get("verify_token"))
                )
                if not result["ok"]:
                    raise MetaError(100, f"Override callback verification failed: {result}")
            account.subscribed[token.app_id] = str(override) if override else None
            return {"success": True}
        if request.method == "DELETE":
            account.subscribed.pop(token.app_id, None)
            return {"success": True}
        rows = []
        for app_id, override in account.subscribed.items():
            row: dict[str, Any] = {"whatsapp_business_api_data": {"id": app_id, "link": "", "name": f"App {app_id}"}}
            if override:
                row["override_callback_uri"] = override
            rows.append(row)
        return {"data": rows}

    async def _templates(self, request: Request, account: Account) -> dict[str, Any]:
        meta, query = self._meta, request.query_params
        if request.method == "POST":
            made = templates.create(account, await read_body(request))
            meta.reviews.submit(account, made["id"])
            return {"id": made["id"], "status": made["status"], "category": made["category"]}
        if request.method == "DELETE":
            name, wanted = query.get("name"), query.get("hsm_id")
            gone = [t for t in account.templates.values() if t["name"] == name and wanted in (None, t["id"])]
            for template in gone:
                del account.templates[template["id"]]
            if not gone:
                raise MetaError(100, "No template has this name.", subcode=2593002)
            return {"success": True}
        found = [t for t in account.templates.values() if (query.get("name") or "") in t["name"]]
        for key in ("status", "language", "category"):
            found = [t for t in found if query.get(key) in (None, t[key])]
        return paged([selected(template, request) for template in found], request)

    # Media, templates and other objects by id

    async def _object(self, request: Request, method: str, object_id: str, token: Token) -> dict[str, Any]:
        meta = self._meta
        for account in meta.world.accounts.values():
            if object_id in account.templates:
                self._allow(token, account.id)
                template = account.templates[object_id]
                if method == "POST":
                    changes = await read_body(request)
                    template.update({key: changes[key] for key in ("components", "category") if key in changes})
                    meta.reviews.submit(account, object_id)
                    return {"success": True}
                return selected(template, request)
        media = meta.media.find(object_id, meta.clock.now(), request.query_params.get("phone_number_id"))
        if media is None or meta.world.numbers[media.owner].account_id not in token.account_ids:
            raise unknown_object(object_id)
        if method == "DELETE":
            meta.media.remove(object_id)
            return {"success": True}
        dead = meta.faults.acting(MediaExpired, media_id=object_id) is not None
        base = str(request.base_url).rstrip("/")
        return {
            "messaging_product": "whatsapp",
            "url": meta.media.address(media, base, meta.clock.now(), dead=dead),
            "mime_type": media.mime_type,
            "sha256": media.digest.hex(),
            "file_size": len(media.data),
            "id": media.id,
        }

    async def fetch(self, request: Request) -> Response:
        """The bytes behind a media address; the token is needed here too."""
        meta, query = self._meta, request.query_params
        try:
            token = self._token(request)
        except MetaError:
            return Response(status_code=401)
        media = meta.media.at(query.get("hash", ""), query.get("mid", ""), meta.clock.now())
        if media is None or meta.world.numbers[media.owner].account_id not in token.account_ids:
            return Response(status_code=404)
        disposition = {"Content-Disposition": f'attachment; filename="{media.filename or media.id}"'}
        return Response(media.data, media_type=media.mime_type, headers=disposition)


async def _what_is_sent(request: Request, parts: list[str]) -> str | None:
    """The type of a message, ``read`` or ``typing``: these share the edge of messages."""
    if request.method != "POST" or parts[-1] != "messages":
        return None
    body = await read_body(request)
    if body.get("status") == "read":
        return "typing" if body.get("typing_indicator") else "read"
    return str(body.get("type", "text"))


class ConnectionReset(Exception):
    """The connection is to be closed without an answer."""
