"""The official JavaScript client on a page of its own, in a real browser."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from playwright.async_api import Browser, Page, Route

from greenline.channels.live.hearing import UNCLEAR
from support.browser import PATIENCE_MS, SPEAK, speak
from support.programs import JS_CLIENT

SITE = "http://localhost:3000"
"""Where the page seems to come from; nothing listens there."""
ARGUMENTS = ("--autoplay-policy=no-user-gesture-required",)
"""Chromium waits for a click before it plays."""

# The microphone is the page's own, and hears what the test has it hear. Every callback of the client is kept as
# [name, argument]; client tools answer as the test has said. The page keeps how many callbacks there were when the
# agent could last be heard: a test that asks too late finds silence.
GLUE = """
window.happened = [];
window.heard = 0;
window.keep = name => value => { window.happened.push([name, value === undefined ? null : value]); };
window.start = async (options, tools) => {
  const clientTools = {};
  for (const [name, answer] of Object.entries(tools))
    clientTools[name] = parameters => {
      window.keep("tool")({ name, parameters });
      return answer === null ? new Promise(resolve => { window.answer = resolve; }) : answer;
    };
  const callbacks = {};
  for (const name of ["onConnect", "onDisconnect", "onError", "onMessage", "onModeChange", "onInterruption",
      "onAgentChatResponsePart", "onAgentToolResponse", "onAgentResponseCorrection", "onPing", "onVadScore",
      "onAgentTyping", "onDebug", "onIncomingEvent", "onRichContent", "onMCPToolCall", "onMCPConnectionStatus",
      "onGuardrailTriggered"])
    callbacks[name] = window.keep(name);
  callbacks.onMCPToolApprovalRequest = call => {
    window.keep("onMCPToolApprovalRequest")(call);
    return new Promise(resolve => { window.decide = resolve; });
  };
  window.conversation = await ElevenLabsClient.Conversation.startSession({ ...options, ...callbacks, clientTools });
  setInterval(() => { if (window.conversation.getOutputVolume() > 0) window.heard = window.happened.length; }, 20);
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
        """Begin a conversation over the WebSocket; returns its id.

        ``tools`` are what client tools answer, by their names; None is for later, with `answer`.
        """
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

    async def answer(self, result: Any) -> None:
        """The answer of the tool that waits for it."""
        await self.page.evaluate("result => window.answer(result)", result)

    async def decide(self, approved: bool) -> None:
        """The person's word on the call that waits for it."""
        await self.page.evaluate("approved => window.decide(approved)", approved)

    async def speak(self, pcm: bytes) -> None:
        """Speak into the microphone, at `greenline.speech.models.HEARING_RATE`."""
        await speak(self.page, pcm)

    async def ask(self, pcm: bytes) -> None:
        """Speak, and once more if the agent did not understand: a busy machine may make gaps in a voice."""
        before = len(await self.happened("onMessage"))
        await self.speak(pcm)
        found = await self.page.wait_for_function(
            """([before, unclear]) => window.happened.filter(([name]) => name === "onMessage").slice(before)
                 .find(([, it]) => it.role === "user" || it.message === unclear)""",
            arg=[before, UNCLEAR["en"]],
        )
        if (await found.json_value())[1]["role"] != "user":
            await self.speak(pcm)

    async def wait(self, name: str, condition: str = "true") -> Any:
        """The argument of the first callback ``name`` for which ``condition``, an expression over ``it``, holds."""
        found = await self.page.wait_for_function(
            f"() => window.happened.find(([name, it]) => name === {name!r} && ({condition}))"
        )
        return (await found.json_value())[1]

    async def listen(self, text: str) -> None:
        """Return when the agent was heard after its message ``text`` had come."""
        await self.wait("onMessage", f"it.message === {text!r}")
        await self.page.wait_for_function(
            "text => window.heard > window.happened.findIndex(([, it]) => it && it.message === text)", arg=text
        )

    async def happened(self, name: str) -> list[Any]:
        """The arguments of all callbacks ``name``, in order."""
        kept: list[Any] = await self.page.evaluate(
            "name => window.happened.filter(([kept]) => kept === name).map(([, it]) => it)", name
        )
        return kept

    async def order(self) -> list[str]:
        """The names of all callbacks, in order; of those for the server's messages their types."""
        kept: list[str] = await self.page.evaluate(
            "() => window.happened.map(([name, it]) => name === 'onIncomingEvent' ? it.type : name)"
        )
        return kept

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        origin = f"ws{self._origin.removeprefix('http')}"
        return {"connectionType": "websocket", "origin": origin, **options}


@contextlib.asynccontextmanager
async def js_client(browser: Browser, url: str) -> AsyncIterator[JsClient]:
    """The client on a new page of a browser of `ARGUMENTS`, pointed at the server at ``url``."""
    page = await browser.new_page()
    try:
        page.set_default_timeout(PATIENCE_MS)
        await page.route(f"{SITE}/**", _serve)
        await page.goto(f"{SITE}/")
        await page.add_script_tag(path=JS_CLIENT)
        await page.add_script_tag(content=SPEAK + GLUE)
        yield JsClient(page, url)
    finally:
        await page.close()


async def _serve(route: Route) -> None:
    await route.fulfill(content_type="text/html", body="<!doctype html><title>A page</title>")
