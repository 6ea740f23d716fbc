"""The official widget, in a real browser: what its visitors do, with nothing changed in it but the host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, Page, expect

from greenline.clock import SystemClock
from greenline.settings import Settings
from support.browser import chromium, speak
from support.embedded_voice import spoken
from support.js_client import ARGUMENTS
from support.server import RunningServer, run_server
from support.socket_agents import finished, make_agent
from support.wait import until
from support.widget import bundle, shop

pytestmark = [pytest.mark.chromium, pytest.mark.javascript]

QUESTION, ANSWER = "When are you open?", "We open at nine in the morning."
PROMPT = f"offline: when open|offen -> say {ANSWER}\n" + r"offline: when ^(.+)$ -> say You said \1"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[RunningServer]:
    """A server whose clock runs: sound has a time of its own."""
    async with run_server(settings.model_copy(update={"stt_phrases": QUESTION}), SystemClock()) as running:
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium(arguments=ARGUMENTS) as running:
        yield running


@pytest.fixture(scope="module")
def widget(tmp_path_factory: pytest.TempPathFactory) -> str:
    return bundle(tmp_path_factory.mktemp("widget"))


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).first.click()


async def write(page: Page, text: str) -> None:
    await page.get_by_role("textbox").fill(text)
    await page.keyboard.press("Enter")


async def newest(http: httpx2.AsyncClient) -> str:
    async def begun() -> str | None:
        listed = (await http.get("/v1/convai/conversations")).json()["conversations"]
        return str(listed[0]["conversation_id"]) if listed else None

    return await until(begun)


async def test_a_visitor_chats_in_their_language_shows_a_picture_and_rates(
    browser: Browser, server: RunningServer, http: httpx2.AsyncClient, widget: str
) -> None:
    shown: dict[str, Any] = {"language_selector": True, "terms_text": "Sei nett.", "end_feedback": {"type": "rating"}}
    preset = {"overrides": {"agent": {"first_message": "Hallo!"}}}
    agent_id = await make_agent(
        http, PROMPT, text_only=False, language_presets={"de": preset}, platform={"widget": shown}
    )
    async with shop(browser, widget, server.url, agent_id, 'language="de"') as page:
        await press(page, "Message")
        await expect(page.get_by_text("Sei nett.")).to_be_visible()
        await press(page, "Accept")
        await write(page, "Wann habt ihr offen?")
        await expect(page.get_by_text(ANSWER)).to_be_visible()
        async with page.expect_file_chooser() as chosen:
            await press(page, "Attach file")
        await (await chosen.value).set_files({"name": "tea.png", "mimeType": "image/png", "buffer": PNG})
        await write(page, "Schau")
        await expect(page.get_by_text("You said Schau")).to_be_visible()
        await press(page, "End")
        await page.get_by_role("radio", name="4").click()
        await page.get_by_placeholder("Tell us more about your experience").fill("Gern wieder")
        await press(page, "Submit")

        async def rated() -> dict[str, Any] | None:
            found = (await http.get(f"/v1/convai/conversations/{await newest(http)}")).json()
            return found if found["metadata"]["feedback"]["comment"] else None

        found = await until(rated)
    assert (found["metadata"]["feedback"]["rating"], found["metadata"]["feedback"]["comment"]) == (4, "Gern wieder")
    assert (found["metadata"]["text_only"], found["metadata"]["main_language"]) == (True, "de")
    assert found["metadata"]["conversation_initiation_source"] == "widget"
    said = [(turn["role"], turn["message"]) for turn in found["transcript"]]
    assert said[:3] == [("agent", "Hallo!"), ("user", "Wann habt ihr offen?"), ("agent", ANSWER)]
    assert next(turn for turn in found["transcript"] if turn["message"] == "Schau")["file_input"] is not None


async def test_a_visitor_speaks_with_the_agent(
    browser: Browser, server: RunningServer, http: httpx2.AsyncClient, widget: str
) -> None:
    agent_id = await make_agent(http, PROMPT, text_only=False, turn={"turn_timeout": -1})
    async with shop(browser, widget, server.url, agent_id) as page:
        await press(page, "Start a call")
        await expect(page.get_by_text("Hello!")).to_be_visible()
        await speak(page, await spoken(QUESTION))
        await expect(page.get_by_text(QUESTION)).to_be_visible()
        await expect(page.get_by_text(ANSWER)).to_be_visible()
        conversation_id = await newest(http)
        await press(page, "End")
        found = await finished(http, conversation_id)
    said = [(turn["role"], turn["original_message"] or turn["message"]) for turn in found["transcript"]]
    assert said[:3] == [("agent", "Hello!"), ("user", QUESTION), ("agent", ANSWER)]
    assert found["metadata"]["termination_reason"] == "Client disconnected"
