"""A callback for an emulator's webhooks, and the Graph calls of a test."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from support.meta import Emulator, Person, emulator
from support.scripted import Answer, Request, scripted
from support.wait import until


class Receiver:
    """A callback: answers the handshake, keeps what it is told."""

    meta: Emulator
    url: str
    """Of the server that it answers for, where any path will do."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.refuse = 0

    def __call__(self, request: Request) -> Answer:
        """Take a webhook, or refuse it as long as ``refuse`` is not used up."""
        if request.method == "GET":
            query = httpx2.QueryParams(request.target.split("?", 1)[1])
            return Answer(200, query["hub.challenge"].encode())
        if self.refuse > 0:
            self.refuse -= 1
            return Answer(500)
        self.bodies.append(request.json)
        return Answer(200, b"")

    @property
    def changes(self) -> list[tuple[str, dict[str, Any]]]:
        """Field and value of everything that was told."""
        entries = [entry for body in self.bodies for entry in body["entry"]]
        return [(change["field"], change["value"]) for entry in entries for change in entry["changes"]]

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """The ``messages``, ``statuses``, ... of all values."""
        return [item for _, value in self.changes for item in value.get(kind, ())]

    def states(self) -> list[str]:
        """What was told of messages, in the order in which it came."""
        return [status["status"] for status in self.heard("statuses")]

    async def statuses(self, count: int) -> list[dict[str, Any]]:
        """The statuses, when they are ``count``."""

        async def enough() -> list[dict[str, Any]]:
            found = self.heard("statuses")
            return found if len(found) >= count else []

        return await until(enough)


@contextlib.asynccontextmanager
async def subscribed(**config: Any) -> AsyncIterator[Receiver]:
    """A callback, and the emulator (its ``meta``) whose webhooks it gets."""
    receiver = Receiver()
    async with scripted(receiver) as server, emulator(**config) as meta:
        await graph(meta, "POST", f"{meta.business['waba_id']}/subscribed_apps")
        await meta.send_webhooks_to(f"{server.url}/hook")
        receiver.meta, receiver.url = meta, server.url
        yield receiver


async def graph(meta: Emulator, method: str, path: str, body: Any = None, **options: Any) -> Any:
    """A Graph call with the token of the business; returns the answer's body."""
    headers = {"Authorization": f"Bearer {options.pop('token', meta.business['token'])}"}
    answer = await meta.http.request(method, f"/v23.0/{path}", json=body, headers=headers, **options)
    return answer.json()


async def send(meta: Emulator, person: Person, body: dict[str, Any]) -> Any:
    """A message of the business to a person; returns the answer's body."""
    message = {"messaging_product": "whatsapp", "to": f"+{person.wa_id}", **body}
    return await graph(meta, "POST", f"{meta.number}/messages", message)
