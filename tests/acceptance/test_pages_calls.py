"""Calls between the phone page and the agent: a browser's own WebRTC, whose microphone hears what a test says."""

import asyncio
import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from greenline.channels.live.hearing import UNCLEAR
from greenline.speech.models import HEARING_RATE
from greenline.speech.wav import encode_wav
from support.browser import SLOW_PERMISSION, SPEAK, new_page, speak
from support.embedded_voice import spoken
from support.pages import Business, Place, at_least, line_of, notified, write
from support.wait import until

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

PROMPT = "offline: when open -> say We are open until seven.\noffline: when ^(.+)$ -> say Pardon?"
SILENCE = encode_wav(bytes(HEARING_RATE * 2), HEARING_RATE)  # for pages without a microphone of their own
QUESTION, ANSWER, UNHEARD = "Are you open on Saturday?", "We are open until seven.", "Do you sell tea?"
BUSINESS = Business(PROMPT, SILENCE, (QUESTION, UNHEARD), log_level="error")
TEMPLATE = {
    "name": "may_we_call",
    "language": "en",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "May we call you?"}, {"type": "CALL_PERMISSION_REQUEST"}],
}
WATCH = """
  window.peers = [];
  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...all) { super(...all); window.peers.push(this); }
  };
  window.tones = [];
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...all) {
    window.tones.push(this.frequency.value);
    return start.apply(this, all);
  };
"""
LATE_MICROPHONE = """
  const lend = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    await new Promise((allowed) => (window.allow = allowed));
    return (window.microphone = await lend(wanted));
  };
"""
SLOW_LOUDSPEAKER = """
  HTMLMediaElement.prototype.play = function () {
    return new Promise((_, fail) => {
      this.pause = () => fail(new DOMException("interrupted by a call to pause()", "AbortError"));
    });
  };
"""
HANGS_UP_AT_ONCE = """
  const listen = AudioContext.prototype.createMediaStreamSource;
  AudioContext.prototype.createMediaStreamSource = function (stream) {  // the last step before the page dials
    setTimeout(() => document.querySelector("[aria-label='Hang up']").click());
    return listen.call(this, stream);
  };
"""
RINGBACK, BELL = 425, 659
ENERGY = """async () => {
  let energy = 0;
  for (const peer of window.peers)
    for (const stats of (await peer.getStats()).values())
      if (stats.type === 'inbound-rtp') energy += stats.totalAudioEnergy || 0;
  return energy;
}"""


async def watched_phone(place: Place, person: str, width: int = 1280, height: int = 800) -> Page:
    """The phone of somebody, which tells of its connections and tones, and whose microphone is the test's."""
    phone = await place.phone(person, width, height)
    await phone.context.add_init_script(WATCH + SPEAK)
    await phone.reload()
    return phone


async def conversation(place: Place) -> dict[str, Any]:
    """The newest conversation, once it is over."""

    async def over() -> dict[str, Any] | None:
        newest = (await place.api("GET", "/v1/convai/conversations"))["conversations"][0]
        if newest["status"] not in ("done", "failed"):
            return None
        return await place.api("GET", f"/v1/convai/conversations/{newest['conversation_id']}")

    return await until(over)


async def newest_call(place: Place) -> dict[str, Any]:
    """The emulator's newest call."""
    call: dict[str, Any] = (await place.meta.call("GET", "/calls"))["calls"][-1]
    return call


async def ended_by(place: Place) -> str:
    """Who ended the emulator's newest call, once it is over: the server may have heard the word "rejected" before."""

    async def over() -> str | None:
        call = await newest_call(place)
        return str(call["ended_by"]) if call["state"] == "ended" else None

    return await until(over)


def button(phone: Page, name: str) -> Any:
    return phone.get_by_role("button", name=name, exact=True)


async def ask(phone: Page) -> None:
    """The person asks, and once more if the agent did not understand: a busy machine may make gaps in a voice."""
    question, captions = await spoken(QUESTION), phone.locator(".gl-caption")
    answer, unclear = captions.filter(has_text=ANSWER).first, captions.filter(has_text=UNCLEAR["en"]).first
    await speak(phone, question)
    await expect(answer.or_(unclear).first).to_be_visible()
    if await unclear.is_visible():
        await speak(phone, question)
        await expect(answer).to_be_visible()


async def test_a_phone_that_can_not_speak_hangs_up(place: Place) -> None:
    before = len((await place.meta.call("GET", "/calls"))["calls"])
    phone = await place.phone("Mia")
    await phone.context.add_init_script(
        "Object.defineProperty(RTCPeerConnection.prototype, 'localDescription', {get: () => ({sdp: 'v=0'})})"
    )
    await phone.reload()
    await notified(phone, "This session description can't be used.", button(phone, "Call").click())

    async def over() -> list[Any]:
        made = (await place.meta.call("GET", "/calls"))["calls"][before:]
        return [call["ended_by"] for call in made if call["state"] == "ended"]

    assert await until(over) == ["person"], "the agent is not left talking to nobody"


async def test_a_microphone_that_is_lent_after_the_end_is_given_back(place: Place) -> None:
    phone = await place.phone("Kai")
    await phone.context.add_init_script(SLOW_PERMISSION)
    await phone.reload()
    for calls in (1, 2):
        await button(phone, "Call").click()
        await phone.wait_for_function(f"window.asked.length === {calls}")
        if calls == 1:
            await button(phone, "Hang up").click()
            await expect(button(phone, "Hang up")).to_have_count(0)
    await phone.evaluate("window.asked[0]()")
    await phone.wait_for_function("window.microphones.length === 1 && window.microphones[0].readyState === 'ended'")
    await phone.evaluate("window.asked[1]()")
    await phone.wait_for_function("window.microphones.length === 2 && window.microphones[1].readyState === 'live'")
    await button(phone, "Hang up").click()
    await phone.wait_for_function("window.microphones[1].readyState === 'ended'")
    await phone.context.close()


async def test_who_hangs_up_while_the_phone_dials_calls_nobody(place: Place) -> None:
    before = len((await place.meta.call("GET", "/calls"))["calls"])
    phone = await place.phone("Lou")
    await phone.context.add_init_script(HANGS_UP_AT_ONCE)
    await phone.reload()
    await button(phone, "Call").click()

    async def over() -> list[Any]:
        made = (await place.meta.call("GET", "/calls"))["calls"][before:]
        return [call["ended_by"] for call in made if call["state"] == "ended"]

    assert await until(over) == ["person"]
    await expect(phone.get_by_role("dialog", name="Call")).to_have_count(0)
    await phone.context.close()


async def test_a_person_calls_is_heard_and_hears(place: Place) -> None:
    await place.change_agent(first_message="Hello!")
    phone = await watched_phone(place, "Ann")
    async with place.pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table whatsapp_call in exclusive mode")
        await button(phone, "Call").click()
        await phone.wait_for_function("window.tones.length > 0")  # a business that answers at once lets it ring never
    await expect(phone.get_by_role("status")).to_have_text(at_least(2))
    captions = phone.get_by_role("log", name="Captions").locator(".gl-caption")
    await expect(captions).to_contain_text(["Hello!"])
    await ask(phone)
    await expect(captions).to_contain_text(["Hello!", QUESTION, ANSWER])
    await expect(phone.locator(".gl-step-title", has_text="The person calls")).to_be_visible()

    async def answered() -> bool:
        return len((await newest_call(place))["voiced"]) >= 2  # the greeting and the answer

    await until(answered)
    assert await phone.evaluate(ENERGY) > 0
    assert set(await phone.evaluate("window.tones")) == {RINGBACK}  # as often as a slow answer lets it ring
    await button(phone, "Hang up").click()
    await expect(phone.get_by_role("dialog", name="Call")).to_have_count(0)
    shown = await conversation(place)
    said = [(turn["role"], turn["message"]) for turn in shown["transcript"] if turn["message"] != UNCLEAR["en"]]
    assert said[:3] == [
        ("agent", "Hello!"),
        ("user", QUESTION),
        ("agent", "We are open until seven."),
    ]
    assert await phone.evaluate("window.peers.map(peer => peer.connectionState)") == ["closed"]


async def test_a_muted_person_is_not_heard_and_a_closed_page_hangs_up(place: Place) -> None:
    await place.change_agent(first_message="Hello!")
    phone = await watched_phone(place, "Ben", 390, 844)
    await button(phone, "Call").click()
    await expect(phone.get_by_role("status")).to_have_text(at_least(0))
    await button(phone, "Mute").click()
    await expect(button(phone, "Mute")).to_have_attribute("aria-pressed", "true")
    await expect(phone.get_by_text("Your microphone is off.")).to_be_visible()
    await button(phone, "Show the chat").click()
    await phone.get_by_label("Message", exact=True).fill("I can write meanwhile")
    await button(phone, "Show the call").click()
    await speak(phone, await spoken(UNHEARD) + bytes(HEARING_RATE))  # into the void
    await button(phone, "Mute").click()
    await expect(button(phone, "Mute")).to_have_attribute("aria-pressed", "false")
    await ask(phone)
    await phone.close()
    shown = await conversation(place)
    said = [turn["message"] for turn in shown["transcript"] if turn["role"] == "user" and turn["message"]]
    assert said == [QUESTION]
    assert await ended_by(place) == "person"


async def test_who_mutes_before_the_microphone_is_allowed_is_muted(place: Place) -> None:
    phone = await place.phone("Gil")
    await phone.context.add_init_script(LATE_MICROPHONE)
    await phone.reload()
    await button(phone, "Call").click()
    await button(phone, "Mute").click()
    await phone.wait_for_function("() => window.allow !== undefined")
    await phone.evaluate("window.allow()")
    await expect(phone.get_by_role("status")).to_have_text(at_least(0))
    assert await phone.evaluate("window.microphone.getAudioTracks().map(track => track.enabled)") == [False]
    await button(phone, "Mute").click()
    assert await phone.evaluate("window.microphone.getAudioTracks().map(track => track.enabled)") == [True]
    await button(phone, "Hang up").click()
    await expect(phone.get_by_role("dialog", name="Call")).to_have_count(0)


async def test_who_writes_while_a_call_ends_goes_on_writing(place: Place) -> None:
    phone = await watched_phone(place, "Piet")
    await button(phone, "Call").click()
    await expect(phone.locator(".gl-call-state")).to_have_text(re.compile(r"^0:\d\d$"))
    await button(phone, "Show the chat").click()
    field = phone.get_by_label("Message", exact=True)
    await field.press_sequentially("One more")
    await place.meta.call("POST", f"/calls/{(await newest_call(place))['call_id']}/hangup")
    await expect(phone.locator(".gl-call")).to_have_count(0)
    await expect(field).to_be_focused()


async def test_who_is_not_heard_any_more_is_told(place: Place) -> None:
    phone = await watched_phone(place, "Quin")
    await button(phone, "Call").click()
    await expect(phone.locator(".gl-call-state")).to_have_text(re.compile(r"^0:\d\d$"))
    await phone.evaluate("window.peers.at(-1).getSenders()[0].track.dispatchEvent(new Event('ended'))")
    await expect(phone.get_by_text("Your microphone is gone")).to_be_visible()
    await button(phone, "Hang up").click()
    await expect(phone.locator(".gl-call")).to_have_count(0)


async def test_a_second_window_shows_the_call_and_has_no_microphone_to_mute(place: Place) -> None:
    await place.change_agent(first_message="Hello!")
    phone = await place.phone("Gus")
    other = await new_page(place.browser)
    await other.goto(phone.url)
    await button(phone, "Call").click()
    await expect(other.get_by_text("You speak in another window.")).to_be_visible()
    await expect(button(other, "Mute")).to_have_count(0)
    await expect(button(phone, "Mute")).to_be_visible()
    await expect(phone.get_by_text("You speak in another window.")).to_have_count(0)
    await button(other, "Hang up").click()
    await expect(phone.get_by_role("dialog", name="Call")).to_have_count(0)
    assert await ended_by(place) == "person"


async def test_of_two_windows_that_dial_one_calls(place: Place) -> None:
    await place.change_agent(first_message="Hello!")
    before = len((await place.meta.call("GET", "/calls"))["calls"])
    windows = [await place.phone("Ina"), await new_page(place.browser)]
    await windows[1].goto(windows[0].url)
    await button(windows[1], "Call").wait_for()
    await asyncio.gather(*(button(window, "Call").dispatch_event("click") for window in windows))

    async def elsewhere() -> list[Page]:
        return [window for window in windows if await window.get_by_text("You speak in another window.").count()]

    assert len(await until(elsewhere)) == 1
    assert len((await place.meta.call("GET", "/calls"))["calls"]) == before + 1
    await button(windows[0], "Hang up").click()
    for window in windows:
        await expect(window.get_by_role("dialog", name="Call")).to_have_count(0)


async def test_of_two_windows_that_take_a_call_one_has_it(place: Place) -> None:
    await place.change_agent(first_message="Hello!")
    windows = [await watched_phone(place, "Hal"), await new_page(place.browser)]
    await windows[1].context.add_init_script(WATCH)
    await windows[1].goto(windows[0].url)
    await ask_to_call(place, await place.wa_id("Hal"))
    await button(windows[0], "Allow calls").click()
    for window in windows:
        await button(window, "Accept").wait_for()
    await asyncio.gather(*(button(window, "Accept").dispatch_event("click") for window in windows))
    note = "You speak in another window."

    async def silent() -> list[Page]:
        found = [window for window in windows if await window.get_by_text(note).count()]
        return found if len(found) == 1 else []

    (loser,) = await until(silent)
    (winner,) = (window for window in windows if window is not loser)
    await loser.wait_for_function("window.peers.every(peer => peer.connectionState === 'closed')")
    await loser.close()
    await expect(button(winner, "Mute")).to_be_visible()
    await expect(winner.locator(".gl-caption").first).to_contain_text("Hello!")
    await winner.wait_for_function("window.peers.some(peer => peer.connectionState === 'connected')")
    await button(winner, "Hang up").click()
    await expect(winner.get_by_role("dialog", name="Call")).to_have_count(0)
    assert await ended_by(place) == "person"


async def test_an_operator_calls_takes_over_and_speaks_through_the_voice(place: Place) -> None:
    await place.change_agent(first_message="Hello, this is the shop.")
    await make_template(place)
    phone, console = await watched_phone(place, "Cem"), await place.console()
    await write(phone, "Please call me")
    await line_of(console, "Cem").click()
    await button(console, "Call this person").click()
    await expect(console.get_by_text("The question: May we call you?")).to_be_visible()
    async with place.pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table whatsapp_call in exclusive mode")
        await button(console, "Ask, then call").click()
        # The dialog is gone before the call is begun.
        await expect(button(console, "Ask, then call")).to_have_count(0)
    await expect(console.get_by_text("The person was asked for permission.")).to_be_visible()
    await expect(button(console, "Call it off")).to_be_visible()

    await button(phone, "Allow for seven days").click()
    await expect(phone.locator(".gl-row.mine").last).to_contain_text("You may call me for seven days.")
    await expect(phone.get_by_role("status")).to_have_text("is calling you")
    assert BELL in await phone.evaluate("window.tones")
    await button(phone, "Accept").click()
    await button(phone, "Mute").click()
    await expect(phone.locator(".gl-caption").first).to_contain_text("Hello, this is the shop.")
    await expect(console.get_by_text("On the call.")).to_be_visible()

    await button(console, "Take over").click()
    human = console.get_by_label("Write as a human")
    await human.fill("This is Mo.")
    await human.press("Enter")
    await expect(phone.locator(".gl-caption").last).to_contain_text("This is Mo.")
    await expect(console.locator(".gl-turn.human")).to_contain_text("This is Mo.")
    await button(console, "End").click()
    await button(console, "End it").click()
    await expect(phone.get_by_role("status")).to_have_text("The business hung up.")
    await expect(console.get_by_text("The call is over. Ended by an operator")).to_be_visible()
    assert (await conversation(place))["metadata"]["whatsapp"]["call_result"] == "answered"


async def test_a_declined_call_and_a_declined_request_are_told(place: Place) -> None:
    phone = await place.phone("Dora")
    await ask_to_call(place, await place.wa_id("Dora"))
    await button(phone, "Allow calls").click()
    await button(phone, "Decline").click()
    await expect(phone.get_by_role("dialog", name="Call")).to_have_count(0)
    assert (await conversation(place))["metadata"]["whatsapp"]["call_result"] != "answered"
    assert await ended_by(place) == "person_rejected"

    emil = await place.phone("Emil")
    await ask_to_call(place, await place.wa_id("Emil"))
    await button(emil, "Don't allow").click()
    await expect(emil.locator(".gl-row.mine")).to_contain_text("Please don't call me.")
    await expect(button(emil, "Don't allow")).to_have_count(0)
    await expect(emil.locator(".gl-step-title", has_text="Permission to call: declined")).to_be_visible()


async def test_a_business_that_takes_no_calls_is_told_with_the_reason(place: Place) -> None:
    number = f"/v1/convai/whatsapp-accounts/{place.meta.number}"
    await place.api("PATCH", number, {"assigned_agent_id": None})
    phone = await place.phone("Flo")
    await phone.context.add_init_script(SLOW_LOUDSPEAKER)
    await phone.reload()
    await button(phone, "Call").click()
    await expect(phone.get_by_role("status")).to_have_text("The business does not take calls now.")
    await expect(phone.locator(".gl-call-note")).to_have_text("No agent is assigned to the number.")
    await expect(phone.locator(".gl-step-title", has_text="Call not taken")).to_be_visible()
    await place.api("PATCH", number, {"assigned_agent_id": place.agent_id})
    await button(phone, "Call again").click()
    await expect(phone.get_by_role("status")).to_have_text(at_least(0))
    await button(phone, "Hang up").click()
    await expect(phone.get_by_role("dialog", name="Call")).to_have_count(0)


async def make_template(place: Place) -> None:
    """The business has an approved template that asks for the permission to call."""
    templates = f"/v23.0/{place.meta.business['waba_id']}/message_templates"
    headers = {"Authorization": f"Bearer {place.meta.business['token']}"}
    if not (await place.meta.http.get(templates, headers=headers)).json()["data"]:
        await place.approve(TEMPLATE)


async def ask_to_call(place: Place, wa_id: str) -> None:
    """The business wants to call somebody, by its API."""
    await make_template(place)
    body = {
        "agent_id": place.agent_id,
        "whatsapp_phone_number_id": place.meta.number,
        "whatsapp_user_id": wa_id,
        "whatsapp_call_permission_request_template_name": "may_we_call",
        "whatsapp_call_permission_request_template_language_code": "en",
    }
    await place.api("POST", "/v1/convai/whatsapp/outbound-call", body)
