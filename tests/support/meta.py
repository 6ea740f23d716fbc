"""The emulator as a process of its own, and the people that it plays."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from greenline.emulator.app import create_app
from support.fork_server import start
from support.http import http_client
from support.wait import PATIENCE_SECONDS, until


@dataclass(frozen=True)
class Person:
    """Somebody with a phone."""

    person_id: str
    wa_id: str


@dataclass
class Emulator:
    """The control API of a running emulator, in the words of a test."""

    url: str
    http: httpx2.AsyncClient
    business: dict[str, Any]

    async def graph(self, method: str, path: str, body: Any = None) -> Any:
        """A Graph call of the business; returns Meta's answer, an error as well."""
        headers = {"Authorization": f"Bearer {self.business['token']}"}
        return (await self.http.request(method, f"/v23.0/{path}", json=body, headers=headers)).json()

    async def send(self, person: Person, **message: Any) -> Any:
        """The business writes to a person; returns Meta's answer, an error as well."""
        body = {"messaging_product": "whatsapp", "to": f"+{person.wa_id}", **message}
        return await self.graph("POST", f"{self.number}/messages", body)

    @property
    def number(self) -> str:
        """The id of the business's number."""
        return str(self.business["phone_number_id"])

    def settings(self) -> dict[str, str]:
        """The environment of a server that talks to this emulator."""
        return {
            "GREENLINE_GRAPH_URL": self.url,
            "GREENLINE_MEDIA_HOSTS": self.url.removeprefix("http://"),
            "GREENLINE_META_APP_ID": self.business["app_id"],
            "GREENLINE_META_APP_SECRET": self.business["app_secret"],
            "GREENLINE_META_VERIFY_TOKEN": self.business["verify_token"],
        }

    async def call(self, method: str, path: str, **body: Any) -> Any:
        """A call of the control API. Raises on anything but success."""
        answer = await self.http.request(method, f"/control{path}", json=body or None)
        answer.raise_for_status()
        return answer.json()

    async def send_webhooks_to(self, url: str) -> None:
        """Set the app's callback; the server must answer the handshake."""
        token = self.business["verify_token"]
        await self.call(
            "POST", f"/apps/{self.business['app_id']}/callback", callback_url=url, verify_token=token, verify=True
        )

    async def furnish(
        self, url: str, api_key: str, prompt: str, tools: Mapping[str, Any] | None = None, **account: Any
    ) -> str:
        """An agent on this emulator's number, made by the API of the server at ``url``; returns its id.

        It does not speak again to a caller who is silent: on a busy machine everybody is. ``tools``: its
        ``built_in_tools``; ``account``: more of the number's import.
        """
        await self.send_webhooks_to(f"{url}/webhooks/whatsapp")
        async with http_client(url, api_key) as api:
            config = {
                "agent": {"prompt": {"prompt": prompt, "llm": "offline", "built_in_tools": tools or {}}},
                "turn": {"turn_timeout": -1},
            }
            made = await api.post("/v1/convai/agents/create", json={"name": "Echo", "conversation_config": config})
            made.raise_for_status()
            account |= {
                "business_account_id": self.business["waba_id"],
                "phone_number_id": self.number,
                "access_token": self.business["token"],
            }
            (await api.post("/v1/convai/whatsapp-accounts", json=account)).raise_for_status()
            assigned = {"assigned_agent_id": made.json()["agent_id"]}
            (await api.patch(f"/v1/convai/whatsapp-accounts/{self.number}", json=assigned)).raise_for_status()
        return str(made.json()["agent_id"])

    async def another_number(self, **setup: Any) -> Emulator:
        """The same emulator as seen from one more number, of a business account of its own under the same app."""
        app = {name: self.business[name] for name in ("app_id", "app_secret", "verify_token")}
        return replace(self, business=await self.call("POST", "/setup", **app, **setup))

    async def person(self, name: str, phone: str) -> Person:
        """Somebody new."""
        made = await self.call("POST", "/people", name=name, phone=phone)
        return Person(made["person_id"], made["wa_id"])

    async def say(self, person: Person, text: str) -> str:
        """A person writes; returns the wamid."""
        made = await self.call(
            "POST",
            f"/people/{person.person_id}/messages",
            phone_number_id=self.number,
            type="text",
            text={"body": text},
        )
        return str(made["message_id"])

    async def chat(self, person: Person) -> list[dict[str, Any]]:
        """What the phone shows, in the person's order."""
        shown = await self.call("GET", f"/people/{person.person_id}/chats/{self.number}")
        return list(shown["messages"])

    async def answers(self, person: Person) -> list[str]:
        """The texts that reached the person, those over buttons too, in the order in which they did."""
        sent = (message for message in await self.chat(person) if message["direction"] == "out")
        return [_text(message) for message in sent if message["type"] in ("text", "interactive")]

    async def told(self, person: Person, count: int, seconds: float = PATIENCE_SECONDS) -> list[str]:
        """The texts that reached a person, when they are ``count``."""

        async def enough() -> list[str]:
            texts = await self.answers(person)
            return texts if len(texts) >= count else []

        return await until(enough, seconds=seconds, every=0.1)  # each look costs two processes some of their time


def _text(message: dict[str, Any]) -> str:
    content = message[message["type"]]
    return str(content["body"] if message["type"] == "text" else content["body"]["text"])


@contextlib.asynccontextmanager
async def emulator_here(**config: Any) -> AsyncIterator[Emulator]:
    """An emulator in this process and without a socket, with one business: for rules, of which there are many."""
    app = create_app(**config)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    try:
        async with httpx2.AsyncClient(
            base_url="http://emulator", transport=transport, trust_env=False, timeout=PATIENCE_SECONDS
        ) as http:
            answer = await http.post("/control/setup", json={"business_name": "Fern & Field"})
            answer.raise_for_status()
            yield Emulator("http://emulator", http, answer.json())
    finally:
        await app.state.meta.aclose()


@contextlib.asynccontextmanager
async def emulator(**config: Any) -> AsyncIterator[Emulator]:
    """An emulator with one business; ``config`` is patched into it. Calls of the business connect at once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GREENLINE_")}
    process = await start("greenline", "emulator", "--port", "0", environment=environment, errors=False)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = (await process.stdout.readline()).decode().strip()
        assert line.startswith("ready http://"), line
        url = line.removeprefix("ready ")
        async with http_client(url) as http:
            answer = await http.post("/control/setup", json={"business_name": "Fern & Field"})
            answer.raise_for_status()
            running = Emulator(url, http, answer.json())
            await running.call("PATCH", "/config", **{"call_connect_delay": 0.0, **config})
            yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
