"""The official JavaScript client on a page of its own, in a real browser."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playwright.async_api import Page, Route, async_playwright

from support.browser import ARGUMENTS, EXECUTABLE, PATIENCE_MS

CLIENT = Path(__file__).parents[1] / "js" / "node_modules" / "@elevenlabs" / "client" / "dist" / "lib.iife.js"
SITE = "http://localhost:3000"
"""Where the page seems to come from; nothing listens there."""
REACH = "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets"
"""Chromium asks a person before a page of the internet may reach loopback."""

# Every callback of the client is kept as [name, argument]; client tools answer as the test has said.
GLUE = """
window.happened = [];
window.keep = name => value => { window.happened.push([name, value === undefined ? null : value]); };
window.start = async (options, tools) => {
  const clientTools = {};
  for (const [name, answer] of Object.entries(tools))
    clientTools[name] = parameters => { window.keep("tool")({ name, parameters }); return answer; };
  const callbacks = {};
  for (const name of ["onConnect", "onDisconnect", "onError", "onMessage", "onModeChange", "onInterruption",
      "onAgentChatResponsePart", "onAgentToolResponse", "onAgentResponseCorrection", "onPing", "onVadScore"])
    callbacks[name] = window.keep(name);
  window.conversation = await ElevenLabsClient.Conversation.startSession({ ...options, ...callbacks, clientTools });
  return window.conversation.getId();
};
window.attempt = (options, tools) =>
  window.start(options, tools).then(() => "", error => String(error.message || error));
"""


class JsClient:
    """A page on which a conversation is held."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self._origin = origin

    async def start(self, *, tools: dict[str, Any] | None = None, **options: Any) -> str:
        """Begin a conversation over the WebSocket; returns its id."""
        started: str = await self.page.evaluate(
            "([options, tools]) => window.start(options, tools)", [self._options(options), tools or {}]
        )
        return started

    async def refusal(self, **options: Any) -> str:
        """The error that the client gives for a start that fails; empty if it does not fail."""
        error: str = await self.page.evaluate("options => window.attempt(options, {})", self._options(options))
        return error

    async def call(self, method: str, *arguments: Any) -> Any:
        """A method of the conversation."""
        return await self.page.evaluate(
            "([method, given]) => window.conversation[method](...given)", [method, list(arguments)]
        )

    async def wait(self, name: str, condition: str = "true") -> Any:
        """The argument of the first callback ``name`` for which ``condition``, an expression over ``it``, holds."""
        found = await self.page.wait_for_function(
            f"() => window.happened.find(([name, it]) => name === {name!r} && ({condition}))"
        )
        return (await found.json_value())[1]

    async def happened(self, name: str) -> list[Any]:
        """The arguments of all callbacks ``name``, in order."""
        kept: list[Any] = await self.page.evaluate(
            "name => window.happened.filter(([kept]) => kept === name).map(([, it]) => it)", name
        )
        return kept

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        origin = f"ws{self._origin.removeprefix('http')}"
        return {"connectionType": "websocket", "origin": origin, **options}


@contextlib.asynccontextmanager
async def js_client(url: str, *arguments: str) -> AsyncIterator[JsClient]:
    """The client, pointed at the server at ``url``; ``arguments`` are Chromium's."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=[*ARGUMENTS, REACH, *arguments])
        try:
            page = await browser.new_page()
            page.set_default_timeout(PATIENCE_MS)
            await page.route(f"{SITE}/**", _serve)
            await page.goto(f"{SITE}/")
            await page.add_script_tag(path=CLIENT)
            await page.add_script_tag(content=GLUE)
            yield JsClient(page, url)
        finally:
            await browser.close()


async def _serve(route: Route) -> None:
    await route.fulfill(content_type="text/html", body="<!doctype html><title>A page</title>")
