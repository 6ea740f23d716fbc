"""A running business with its pages, as a person in front of a browser meets it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

from greenline.store.pool import Pool, open_pool
from support.browser import chromium, faults, new_page
from support.embedded_voice import understood
from support.http import http_client
from support.meta import Emulator, emulator
from support.postgres import PostgresOfTests
from support.server import ServeProcess, as_environment, serve_process

KEY = "gl_pages"
ECHO = r"offline: when ^(.+)$ -> say You said \1"


@dataclass(frozen=True)
class Business:
    """What a module of tests wants of the place that it shares.

    ``prompt`` is its agent's; ``microphone`` a WAV file that the browser hears, again and again; ``phrases`` are what
    its people say aloud. The server has nothing to complain of, at its ``log_level``, but what is ``expected``, by
    events of its log or what they begin with.
    """

    prompt: str = ECHO
    microphone: bytes | None = None
    phrases: tuple[str, ...] = ()
    log_level: str = "warning"
    expected: tuple[str, ...] = ()


@dataclass
class Place:
    """A server with an agent on an emulated number, and a browser. The tests of a module share one: names of people
    are of one test only.
    """

    meta: Emulator
    url: str
    browser: Browser
    agent_id: str
    pool: Pool
    folder: Path
    server: ServeProcess
    settings: Mapping[str, str]
    stack: contextlib.AsyncExitStack

    async def start_again(self) -> None:
        """Start the server on its old port, after `ServeProcess.kill`."""
        await self.server.ended()
        port = self.url.rpartition(":")[2]
        self.server = await self.stack.enter_async_context(
            serve_process(self.folder, "--port", port, environment=self.settings)
        )
        await self.server.ready()

    async def phone(self, person: str, width: int = 1280, height: int = 800) -> Page:
        """The phone page of a person with this name, who is new."""
        made = await self.meta.call("POST", "/people", name=person)
        page = await new_page(self.browser, width, height)
        await page.goto(f"{self.url}/phone?person={made['person_id']}")
        await expect(page.locator(".gl-person.on")).to_contain_text(person)
        return page

    async def console(self, key: str = KEY, width: int = 1280, height: int = 800) -> Page:
        """The console, signed in by the form."""
        page = await new_page(self.browser, width, height)
        await page.goto(f"{self.url}/console")
        await page.get_by_label("API key").fill(key)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        return page

    async def close(self) -> None:
        """Close all pages: those who look at them are gone."""
        for context in self.browser.contexts:
            await context.close()

    async def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the server answers; its refusal fails the test."""
        async with http_client(self.url, KEY) as http:
            answer = await http.request(method, path, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def change_agent(self, **agent: object) -> None:
        """Change the agent that answers, for the conversations to come."""
        await self.api("PATCH", f"/v1/convai/agents/{self.agent_id}", {"conversation_config": {"agent": agent}})

    async def send(self, to: str, kind: str, content: Mapping[str, object]) -> None:
        """The business sends a message by the Graph API."""
        answer = await self.meta.http.post(
            f"/v23.0/{self.meta.number}/messages",
            json={"messaging_product": "whatsapp", "to": to, "type": kind, kind: content},
            headers=self._headers,
        )
        answer.raise_for_status()

    async def upload(self, name: str, data: bytes, mime_type: str) -> str:
        """The business puts a file to Meta; returns its id."""
        answer = await self.meta.http.post(
            f"/v23.0/{self.meta.number}/media",
            data={"messaging_product": "whatsapp", "type": mime_type},
            files={"file": (name, data, mime_type)},
            headers=self._headers,
        )
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def approve(self, template: dict[str, Any]) -> None:
        """The business makes a template, and Meta approves it."""
        path = f"/v23.0/{self.meta.business['waba_id']}/message_templates"
        answer = await self.meta.http.post(path, json=template, headers=self._headers)
        answer.raise_for_status()
        await self.meta.call("POST", f"/templates/{answer.json()['id']}/review", status="APPROVED")

    async def wa_id(self, person: str) -> str:
        """The number of the person with this name."""
        return str((await self._person(person))["wa_id"])

    async def person_id(self, person: str) -> str:
        """The emulator's id of the person with this name."""
        return str((await self._person(person))["person_id"])

    async def _person(self, name: str) -> dict[str, object]:
        people = (await self.meta.call("GET", "/people"))["people"]
        return next(person for person in people if person["name"] == name)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.meta.business['token']}"}


@contextlib.asynccontextmanager
async def pages(
    postgres: PostgresOfTests,
    folder: Path,
    business: Business,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Place]:
    """Emulator and server as processes of their own, an agent, and a browser."""
    microphone, data = folder / "microphone.wav", folder / "data"
    if business.microphone:
        await asyncio.to_thread(microphone.write_bytes, business.microphone)
    async with contextlib.AsyncExitStack() as stack:
        dsn = await postgres.create()
        stack.callback(postgres.give_back, dsn)
        browser = await stack.enter_async_context(chromium(microphone if business.microphone else None))
        meta = await stack.enter_async_context(emulator())
        settings = {
            **meta.settings(),
            "GREENLINE_DATABASE_URL": dsn,
            "GREENLINE_API_KEY": KEY,
            "GREENLINE_EMULATOR_URL": meta.url,
            "GREENLINE_LOG_LEVEL": business.log_level,
            **as_environment(understood(*business.phrases)),
            "GREENLINE_DRAIN_SECONDS": "3",
            **(environment or {}),
        }
        server = await stack.enter_async_context(serve_process(data, environment=settings))
        await server.ready()
        agent_id = await meta.furnish(server.url, KEY, business.prompt)
        pool = await open_pool(dsn)
        stack.callback(pool.terminate)
        place = Place(meta, server.url, browser, agent_id, pool, data, server, settings, stack)
        yield place
        await place.close()
        assert faults(browser) == []
        known = [f'"event":"{event}' for event in business.expected]
        complaints = [line for line in place.server.errors if not any(event in line for event in known)]
        assert complaints == [], "".join(complaints)


async def write(page: Page, text: str) -> None:
    """A person writes on their phone, or an operator in the console."""
    await page.get_by_label("Message", exact=True).fill(text)
    await page.get_by_label("Message", exact=True).press("Enter")


async def notified(page: Page, text: str, act: Awaitable[object]) -> None:
    """Do ``act`` and see what it is answered by for five seconds, which are waited for from before it."""
    await asyncio.gather(expect(page.get_by_text(text)).to_be_visible(), act)


def at_least(seconds: int) -> re.Pattern[str]:
    """What a timer shows after so many seconds (below ten) or more: it is not looked at in each of them."""
    return re.compile(rf"^0:(0[{seconds}-9]|[1-5]\d)$")


def line_of(console: Page, person: str) -> Locator:
    """The newest line of somebody in the inbox."""
    return console.locator(".gl-line", has=console.get_by_text(person, exact=True)).first
