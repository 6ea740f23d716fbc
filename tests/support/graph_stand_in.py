"""A Graph API for tests of accounts and templates: a few nodes in memory, over real HTTP.

It refuses on demand what the emulator would have to be brought to refuse, and counts what it was asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from greenline.settings import Settings
from support.scripted import Answer, Request, answer, scripted

TOKEN = "EAAgood"
WABA = "7001"
NUMBER = "100200300"
APP_SECRET = "secret"
IMPORT = {"business_account_id": WABA, "phone_number_id": NUMBER, "access_token": TOKEN}
"""What the number is imported with."""
WELCOME: dict[str, Any] = {
    "name": "welcome",
    "language": "en",
    "status": "APPROVED",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "Hello Ann, your roses are ready."}],
}


def meta_error(code: int, status: int = 400, **more: Any) -> Answer:
    """Meta's envelope."""
    return answer({"error": {"message": f"(#{code}) Title", "type": "OAuthException", "code": code, **more}}, status)


@dataclass
class GraphStandIn:
    """The script of a `support.scripted.ScriptedServer`."""

    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    numbers: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            NUMBER: {
                "id": NUMBER,
                "display_phone_number": "+1 555-000-1111",
                "verified_name": "Rosie's",
                "status": "CONNECTED",
                "platform_type": "CLOUD_API",
            }
        }
    )
    templates: list[dict[str, Any]] = field(default_factory=list)
    subscribed: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    refuse: dict[str, Answer] = field(default_factory=dict)
    """By method and last part of the path, as in ``GET message_templates``."""
    meanwhile: dict[str, Callable[[], object]] = field(default_factory=dict)
    """What happens when Meta is asked, by method and last part of the path; once."""
    sent: list[dict[str, Any]] = field(default_factory=list)
    """Messages, without read receipts."""
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    """How Meta writes recipients: ``to`` or ``recipient`` to ``{wa_id, user_id}``."""

    def __call__(self, request: Request) -> Answer:
        """Answer as Meta would."""
        place = urlsplit(request.target)
        parts = place.path.strip("/").split("/")[1:]
        asked = f"{request.method} {'/'.join(parts)}"
        self.asked.append(asked)
        self.meanwhile.pop(f"{request.method} {parts[-1]}", lambda: None)()
        refusal = self.refuse.get(f"{request.method} {parts[-1]}")
        if refusal is not None:
            return refusal
        if parts == ["oauth", "access_token"]:
            return answer({"access_token": TOKEN, "token_type": "bearer"})
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return meta_error(190, 401, error_subcode=463)
        if asked == f"POST {NUMBER}/messages":
            return self._message(request.json)
        return self._node(request.method, parts, parse_qs(place.query))

    def _message(self, body: dict[str, Any]) -> Answer:
        if "status" in body:
            return answer({"success": True})
        self.sent.append(body)
        to = body.get("to") or body["recipient"]
        contact = {"input": to, **self.names.get(to, {"wa_id": to.lstrip("+")})}
        return answer({"contacts": [contact], "messages": [{"id": f"wamid.OUT{len(self.sent)}"}]})

    def _node(self, method: str, parts: list[str], query: dict[str, list[str]]) -> Answer:
        match (method, *parts):
            case ("GET", "7001" | "7002", "phone_numbers"):
                return answer({"data": list(self.numbers.values())})
            case ("GET", "7001" | "7002", "message_templates"):
                wanted = query["name"][0]
                return answer({"data": [row for row in self.templates if wanted in row["name"]]})
            case ("GET", waba, "subscribed_apps"):
                app = {"whatsapp_business_api_data": {"id": "42", "name": "Greenline"}}
                return answer({"data": [app] if waba in self.subscribed else []})
            case ("POST", waba, "subscribed_apps"):
                self.subscribed.add(waba)
                return answer({"success": True})
            case ("DELETE", waba, "subscribed_apps"):
                self.subscribed.discard(waba)
                return answer({"success": True})
            case ("GET", "7001" | "7002" as waba):
                return answer({"id": waba, "name": "Rosie's Flowers"})
            case ("GET", number) if number in self.numbers:
                return answer(self.numbers[number])
            case _:
                return meta_error(100, 400, error_subcode=33)


@contextlib.asynccontextmanager
async def asking(meta: GraphStandIn, settings: Settings, **changes: Any) -> AsyncIterator[Settings]:
    """``settings`` with ``changes``, of a server that asks ``meta``."""
    async with scripted(meta) as endpoint:
        yield settings.model_copy(update={"graph_url": endpoint.url, "meta_app_secret": (APP_SECRET,), **changes})


async def connect(http: httpx2.AsyncClient) -> None:
    """Import the number into the workspace of ``http``."""
    (await http.post("/v1/convai/whatsapp-accounts", json=IMPORT)).raise_for_status()
