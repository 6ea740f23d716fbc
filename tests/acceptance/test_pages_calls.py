"""Calls between the phone page and the agent: a browser's own WebRTC, whose microphone hears a file."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Page, expect

from greenline.speech.models import HEARING_RATE
from greenline.speech.wav import encode_wav
from support.browser import chromium
from support.embedded_voice import spoken
from support.pages import KEY, Place, pages
from support.wait import until

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(240)]
expect.set_options(timeout=30_000)

PROMPT = "offline: when open -> say We are open until seven.\noffline: when ^(.+)$ -> say Pardon?"
QUIET = {"GREENLINE_LOG_LEVEL": "error"}
TEMPLATE = {
    "name": "may_we_call",
    "language": "en",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "May we call you?"}, {"type": "CALL_PERMISSION_REQUEST"}],
}
WATCH_PEERS = """
  window.peers = [];
  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...all) { super(...all); window.peers.push(this); }
  };
"""
ENERGY = """async () => {
  let energy = 0;
  for (const peer of window.peers)
    for (const stats of (await peer.getStats()).values())
      if (stats.type === 'inbound-rtp') energy += stats.totalAudioEnergy || 0;
  return energy;
}"""


@pytest.fixture
async def place(dsn: str, tmp_path: Path) -> AsyncIterator[Place]:
    microphone = tmp_path / "microphone.wav"
    patience = bytes(HEARING_RATE * 2 * 4)  # the greeting is heard before the question, and the answer after it
    question = await spoken("Are you open on Saturday?")
    microphone.write_bytes(encode_wav(patience + question + patience * 3, HEARING_RATE))
    async with contextlib.AsyncExitStack() as stack:
        browser = await stack.enter_async_context(chromium(microphone))
        yield await stack.enter_async_context(pages(dsn, tmp_path, browser, PROMPT, QUIET))


async def greet_with(place: Place, first_message: str) -> None:
    """What the agent says at the beginning."""
    async with httpx2.AsyncClient(base_url=place.url, headers={"xi-api-key": KEY}, trust_env=False) as http:
        change = {"conversation_config": {"agent": {"first_message": first_message}}}
        (await http.patch(f"/v1/convai/agents/{place.agent_id}", json=change)).raise_for_status()


async def conversation(place: Place) -> dict[str, Any]:
    """The only conversation, once it is over."""
    async with httpx2.AsyncClient(base_url=place.url, headers={"xi-api-key": KEY}, trust_env=False) as http:

        async def over() -> dict[str, Any] | None:
            listed = (await http.get("/v1/convai/conversations")).json()["conversations"]
            if not listed or listed[0]["status"] not in ("done", "failed"):
                return None
            found: dict[str, Any] = (
                await http.get(f"/v1/convai/conversations/{listed[0]['conversation_id']}")
            ).json()
            return found

        return await until(over)


async def calls(place: Place) -> list[dict[str, Any]]:
    """The emulator's calls."""
    return list((await place.meta.call("GET", "/calls"))["calls"])


def button(phone: Page, name: str) -> Any:
    return phone.get_by_role("button", name=name, exact=True)


async def test_a_person_calls_is_heard_and_hears(place: Place) -> None:
    await greet_with(place, "Hello!")
    phone = await place.phone("Ann")
    await phone.context.add_init_script(WATCH_PEERS)
    await phone.reload()
    await button(phone, "Call").click()
    await expect(phone.get_by_role("status")).to_have_text("0:02")
    captions = phone.get_by_role("log", name="Captions").locator(".gl-caption")
    await expect(captions).to_contain_text(["Hello!", "Are you open on Saturday?", "We are open until seven."])
    await expect(phone.locator(".gl-step-title", has_text="The person calls")).to_be_visible()

    async def answered() -> bool:
        [call] = await calls(place)
        return len(call["voiced"]) >= 2  # the greeting and the answer

    await until(answered)
    assert await phone.evaluate(ENERGY) > 0
    await button(phone, "Hang up").click()
    await expect(phone.get_by_role("dialog", name="Call")).to_have_count(0)
    shown = await conversation(place)
    assert [(turn["role"], turn["message"]) for turn in shown["transcript"]][:3] == [
        ("agent", "Hello!"),
        ("user", "Are you open on Saturday?"),
        ("agent", "We are open until seven."),
    ]
    assert await phone.evaluate("window.peers.map(peer => peer.connectionState)") == ["closed"]


async def test_a_muted_person_is_not_heard_and_a_closed_page_hangs_up(place: Place) -> None:
    await greet_with(place, "Hello!")
    phone = await place.phone("Ann", 390, 844)
    await button(phone, "Call").click()
    await expect(phone.get_by_role("status")).to_have_text("0:00")
    await button(phone, "Mute").click()
    await expect(button(phone, "Mute")).to_have_attribute("aria-pressed", "true")
    await expect(phone.get_by_role("status")).to_have_text("0:08")  # the question has been asked, into the void
    await expect(phone.locator(".gl-caption.person")).to_have_count(0)
    await phone.close()
    shown = await conversation(place)
    assert [turn["message"] for turn in shown["transcript"] if turn["role"] == "user" and turn["message"]] == []
    [call] = await calls(place)
    assert (call["state"], call["ended_by"]) == ("ended", "person")


async def test_the_business_calls_after_the_person_has_agreed(place: Place) -> None:
    await greet_with(place, "Hello, this is the shop.")
    phone = await place.phone("Ann")
    await ask_to_call(place, await place.wa_id("Ann"))
    question = phone.locator(".gl-row.theirs")
    await expect(question).to_contain_text("May we call you?")
    await button(phone, "Allow for seven days").click()
    await expect(phone.locator(".gl-row.mine")).to_contain_text("You may call me for seven days.")
    await expect(phone.get_by_role("status")).to_have_text("is calling you")
    await button(phone, "Accept").click()
    await expect(phone.get_by_role("status")).to_have_text("0:01")
    await expect(phone.locator(".gl-caption").first).to_contain_text("Hello, this is the shop.")
    await button(phone, "Hang up").click()
    await expect(phone.get_by_role("dialog", name="Call")).to_have_count(0)
    assert (await conversation(place))["metadata"]["whatsapp"]["call_result"] == "answered"


async def test_a_declined_call_and_a_declined_request_are_told(place: Place) -> None:
    phone = await place.phone("Ann")
    await ask_to_call(place, await place.wa_id("Ann"))
    await button(phone, "Allow calls").click()
    await button(phone, "Decline").click()
    await expect(phone.get_by_role("dialog", name="Call")).to_have_count(0)
    assert (await conversation(place))["metadata"]["whatsapp"]["call_result"] != "answered"
    [call] = await calls(place)
    assert (call["state"], call["ended_by"]) == ("ended", "person_rejected")

    ben = await place.phone("Ben")
    await ask_to_call(place, await place.wa_id("Ben"))
    await button(ben, "Don't allow").click()
    await expect(ben.locator(".gl-row.mine")).to_contain_text("Please don't call me.")
    await expect(button(ben, "Don't allow")).to_have_count(0)
    await expect(ben.locator(".gl-step-title", has_text="Permission to call: declined")).to_be_visible()


async def test_a_business_that_takes_no_calls_is_told(place: Place) -> None:
    async with httpx2.AsyncClient(base_url=place.url, headers={"xi-api-key": KEY}, trust_env=False) as http:
        number = f"/v1/convai/whatsapp-accounts/{place.meta.number}"
        (await http.patch(number, json={"assigned_agent_id": None})).raise_for_status()
    phone = await place.phone("Ann")
    await button(phone, "Call").click()
    await expect(phone.get_by_role("status")).to_have_text("The business does not take calls now.")
    await button(phone, "Close").click()
    await expect(phone.get_by_role("dialog", name="Call")).to_have_count(0)


async def ask_to_call(place: Place, wa_id: str) -> None:
    """The business wants to call somebody, by its API; the template is made and approved first."""
    templates = f"/v23.0/{place.meta.business['waba_id']}/message_templates"
    headers = {"Authorization": f"Bearer {place.meta.business['token']}"}
    if not (await place.meta.http.get(templates, headers=headers)).json()["data"]:
        made = (await place.meta.http.post(templates, json=TEMPLATE, headers=headers)).json()
        await place.meta.call("POST", f"/templates/{made['id']}/review", status="APPROVED")
    body = {
        "agent_id": place.agent_id,
        "whatsapp_phone_number_id": place.meta.number,
        "whatsapp_user_id": wa_id,
        "whatsapp_call_permission_request_template_name": "may_we_call",
        "whatsapp_call_permission_request_template_language_code": "en",
    }
    async with httpx2.AsyncClient(base_url=place.url, headers={"xi-api-key": KEY}, trust_env=False) as http:
        answer = await http.post("/v1/convai/whatsapp/outbound-call", json=body)
        assert answer.status_code == 200, answer.text
