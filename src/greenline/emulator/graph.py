"""The Graph API of the emulator: ``/v17.0`` to ``/v26.0``, with Meta's checks of tokens and its error envelope."""

from __future__ import annotations

import logging
import re
import secrets
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from greenline.emulator.answers import access_token, read_body
from greenline.emulator.errors import MetaError, unknown_object
from greenline.emulator.fault_kinds import GraphError, GraphTimeout, ResetAfterAccept, ResetBeforeAccept, Slow
from greenline.emulator.faults import F
from greenline.emulator.graph_accounts import AccountCalls
from greenline.emulator.graph_apps import AppCalls
from greenline.emulator.graph_media import MediaCalls
from greenline.emulator.graph_numbers import NumberCalls
from greenline.emulator.graph_uploads import UploadCalls
from greenline.emulator.meta import Meta
from greenline.emulator.tokens import Tokens
from greenline.emulator.uploads import PREFIX
from greenline.emulator.world import Token

_VERSION: Final = re.compile(r"^v(1[7-9]|2[0-6])\.0$")
_log: Final = logging.getLogger(__name__)


class Graph:
    """Routes a call by its path to the node or edge that answers it."""

    def __init__(self, meta: Meta) -> None:
        self._meta = meta
        self._tokens = Tokens(meta.world, meta.config, meta.clock, meta.faults)
        self._apps = AppCalls(meta, self._tokens)
        self._media = MediaCalls(meta, self._tokens)
        self._uploads = UploadCalls(meta, self._tokens)
        self._numbers = NumberCalls(meta, self._tokens, self._media)
        self._accounts = AccountCalls(meta, self._tokens, self._numbers)

    async def __call__(self, request: Request) -> Response:
        """Answer a call, with the faults that are set."""
        trace = secrets.token_urlsafe(8)
        meta, path = self._meta, request.url.path
        call: dict[str, Any] = {"method": request.method, "path": path, "sends": None}
        call |= {"status": 200, "error": None, "faults": []}
        meta.graph_calls.append(call)
        parts = [part for part in path.split("/") if part]
        try:
            if not parts or not _VERSION.match(parts[0]):
                raise MetaError(100, f"Unknown path components: {path}", status=400)
            response: Response = JSONResponse(await self._with_faults(request, parts, call))
        except MetaError as error:
            call["status"], call["error"] = error.status, error.code
            response = error.response(trace)
        except ConnectionReset:
            call["status"] = None
            raise
        except Exception as failure:  # noqa: BLE001 - the emulator's own fault: told in Meta's words, and recorded
            _log.exception("%s %s failed", request.method, path)
            unexpected = MetaError(131000, f"{type(failure).__name__} in the emulator.")
            call["status"], call["error"] = unexpected.status, unexpected.code
            response = unexpected.response(trace)
        finally:
            await request.close()
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
        path = parts[1:]
        match request.method, *path:
            case ["GET" | "POST", "oauth", "access_token"]:
                return await self._apps.exchange(request)
            case ["GET", "debug_token"]:
                return await self._apps.debug(request)
            case [_, app_id, "subscriptions"]:
                return await self._apps.subscriptions(request, app_id)
            case [_, upload] if upload.startswith(PREFIX):
                return await self._uploads.answer(request, upload)
        return await self._node(request, path, self._tokens.of(await access_token(request)))

    async def _node(self, request: Request, path: list[str], token: Token) -> dict[str, Any]:
        world = self._meta.world
        if path[1:] == ["uploads"] and path[0] in world.apps:
            return await self._uploads.begin(request, path[0], token)
        if path and path[0] in world.numbers:
            return await self._numbers.answer(request, world.numbers[path[0]], path[1:], token)
        if path and path[0] in world.accounts:
            return await self._accounts.answer(request, world.accounts[path[0]], path[1:], token)
        if len(path) != 1:
            raise unknown_object("/".join(path))
        for account in world.accounts.values():
            if path[0] in account.templates:
                return await self._accounts.template(request, account, path[0], token)
        return await self._media.answer(request, path[0], token)

    async def fetch(self, request: Request) -> Response:
        """The bytes behind a media address."""
        return await self._media.fetch(request)


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
