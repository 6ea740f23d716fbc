"""Voice notes on the phone page, in a real browser whose microphone hears a file."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from greenline.speech.notes import decode_recording, encode_note
from greenline.speech.wav import encode_wav
from support.browser import SLOW_PERMISSION, faults
from support.pages import Business, Place, at_least
from support.sounds import pitch, rms, sine
from support.wait import until

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

RATE = 48_000
PULLED = """
  const lend = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await lend(wanted);
    window.pull = () => stream.getTracks().forEach((track) => track.stop());
    return stream;
  };
"""
PLAYED = """
  window.played = 0;
  window.ended = 0;
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    window.played++;
    this.addEventListener("ended", () => window.ended++, { once: true });
    return play.apply(this);
  };
  new MutationObserver(() => (window.drawn ||= document.querySelector(".gl-wave .past") !== null)).observe(document, {
    attributes: true, subtree: true,
  });
"""
"""Notes what a short sound shows while it is played: it may be over before anybody looks."""
TONE = encode_wav(sine(2.0, RATE, hertz=440.0), RATE)
BUSINESS = Business(microphone=TONE, log_level="error")  # a tone holds no words


async def record(phone: Page, seconds: int) -> None:
    """Speak into the microphone until the recorder shows this time or, on a busy machine, a later one."""
    await phone.get_by_role("button", name="Record a voice note").click()
    await expect(phone.get_by_role("timer")).to_have_text(at_least(seconds))


async def inbound_note(place: Place, person: str) -> bytes:
    """The bytes of the voice note that a person has sent, as the business gets them."""

    async def sent() -> list[dict[str, Any]]:
        person_id = await place.person_id(person)
        shown = await place.meta.call("GET", f"/people/{person_id}/chats/{place.meta.number}")
        return [message for message in shown["messages"] if message["type"] == "audio"]

    [message] = await until(sent)
    assert message["audio"]["voice"] is True
    assert message["audio"]["mime_type"] == "audio/ogg; codecs=opus"
    file = await place.meta.http.get(f"/control/media/{message['audio']['id']}")
    return file.content


async def test_what_the_microphone_hears_goes_out_as_a_voice_note(place: Place) -> None:
    phone = await place.phone("Ann")
    await phone.context.add_init_script(PLAYED)
    await phone.reload()
    await record(phone, 2)
    await phone.get_by_role("button", name="Send voice note").click()
    note = await asyncio.to_thread(decode_recording, await inbound_note(place, "Ann"))
    assert note.codec == "opus"
    assert note.seconds > 1.5
    assert rms(note.pcm) > 1000
    assert abs(pitch(note.pcm, 16_000) - 440) < 15
    bubble = phone.locator(".gl-row.mine .gl-note")
    await expect(bubble.locator(".gl-player-time")).to_have_text(f"0:{int(note.seconds + 0.5):02d}")
    await expect(phone.get_by_role("timer")).to_have_count(0)
    await bubble.get_by_role("button", name="Play").click()
    await phone.wait_for_function("window.drawn")


async def test_a_recording_can_be_thrown_away(place: Place) -> None:
    phone = await place.phone("Ben", 390, 844)
    await record(phone, 1)
    await phone.get_by_role("button", name="Throw away").click()
    await expect(phone.get_by_role("timer")).to_have_count(0)
    await record(phone, 1)
    await phone.get_by_role("button", name="Send voice note").click()
    await expect(phone.locator(".gl-row.mine")).to_have_count(1)


async def test_a_microphone_that_is_lent_twice_makes_one_recording(place: Place) -> None:
    phone = await place.phone("Ivy")
    await phone.context.add_init_script(SLOW_PERMISSION)
    await phone.reload()
    for asked in (1, 2):
        await phone.get_by_role("button", name="Record a voice note").click()
        await phone.wait_for_function(f"window.asked.length === {asked}")
        if asked == 1:
            await phone.get_by_role("button", name="Throw away").click()
    await phone.evaluate("window.asked.forEach((allow) => allow())")  # as browsers do: they show one question
    await expect(phone.get_by_role("timer")).to_have_text(at_least(1))
    states = "window.microphones.map((one) => one.readyState).sort().join()"
    await phone.wait_for_function(f"{states} === 'ended,live'")
    await phone.get_by_role("button", name="Throw away").click()
    await phone.wait_for_function(f"{states} === 'ended,ended'")


async def test_a_voice_note_of_the_business_is_played_and_told_once(place: Place) -> None:
    phone = await place.phone("Cleo")
    await phone.get_by_label("Message", exact=True).fill("Hello")
    await phone.get_by_label("Message", exact=True).press("Enter")
    await expect(phone.locator(".gl-row.theirs")).to_have_count(1)
    note = await asyncio.to_thread(encode_note, sine(3.0, RATE), RATE)
    media_id = await place.upload("answer.ogg", note.data, note.mime_type)
    await place.send(await place.wa_id("Cleo"), "audio", {"id": media_id, "voice": True})
    bubble = phone.locator(".gl-row.theirs .gl-note")
    await expect(bubble.locator(".gl-player-time")).to_have_text("0:03")
    await expect(bubble).not_to_have_class("gl-note played")
    await bubble.get_by_role("button", name="Play").click()
    await expect(phone.locator(".gl-note.played")).to_have_count(1)
    await expect(phone.get_by_text("Status: played")).to_have_count(1)
    await expect(bubble.get_by_role("button", name="Play")).to_be_visible()  # at its end
    await expect(bubble.locator(".gl-player-time")).to_have_text("0:03")


async def test_a_recording_that_can_not_be_sent_is_kept_and_sent_later(place: Place) -> None:
    phone = await place.phone("Dan")
    await record(phone, 1)
    await phone.route("**/phone/notes/**", lambda route: route.fulfill(status=502))
    await phone.get_by_role("button", name="Send voice note").click()
    await expect(phone.get_by_text("Not sent: the server answered 502")).to_be_visible()
    faults(place.browser).clear()
    await phone.unroute_all()
    await phone.get_by_role("button", name="Send voice note").click()
    await expect(phone.locator(".gl-row.mine .gl-note")).to_be_visible()
    await expect(phone.get_by_role("group", name="Voice note")).to_have_count(0)


async def test_a_recording_whose_microphone_is_pulled_out_can_still_be_sent(place: Place) -> None:
    phone = await place.phone("Eva")
    await phone.context.add_init_script(PULLED)
    await phone.reload()
    await record(phone, 1)
    await phone.evaluate("window.pull()")
    await expect(phone.get_by_text("The microphone is gone. Send what was recorded?")).to_be_visible()
    await phone.get_by_role("button", name="Send voice note").click()
    await expect(phone.locator(".gl-row.mine .gl-note")).to_be_visible()


async def test_a_recording_goes_out_from_whom_it_was_made(place: Place) -> None:
    await place.meta.call("POST", "/people", name="Finn")
    phone = await place.phone("Gwen")
    await record(phone, 1)
    await phone.get_by_role("button", name="Finn", exact=True).click()
    await expect(phone.locator(".gl-person.on")).to_have_text("Finn")
    await phone.get_by_role("button", name="Send voice note").click()
    await inbound_note(place, "Gwen")


async def test_a_sound_that_comes_late_does_not_play_when_it_was_stopped(place: Place) -> None:
    phone = await place.phone("Hal")
    await phone.context.add_init_script(PLAYED)
    await phone.reload()
    await record(phone, 1)
    await phone.get_by_role("button", name="Send voice note").click()
    note = phone.locator(".gl-row.mine .gl-note")
    await expect(note).to_be_visible()
    late = asyncio.Event()

    async def hold(route: Route) -> None:
        await late.wait()
        await route.continue_()

    await phone.route("**/phone/media/**", hold)
    async with phone.expect_response("**/phone/media/**"):
        await note.get_by_role("button", name="Play").click()
        await note.get_by_role("button", name="Pause").click()
        late.set()
    await note.get_by_role("button", name="Play").click()
    await phone.wait_for_function("window.ended")
    assert await phone.evaluate("window.played") == 1
