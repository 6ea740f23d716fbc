"""Whole calls between the emulator and the server's media, in one process: files, early voice, keys of a script."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import AudioStreamTrack, RTCPeerConnection

from greenline.channels.webrtc.media import MediaCall
from greenline.emulator.calls import permission_desk
from greenline.emulator.calls.call import Call
from greenline.emulator.calls.peer import Peer
from greenline.emulator.calls.recording import transcript
from greenline.emulator.calls.script import Script
from greenline.emulator.errors import MetaError
from greenline.emulator.meta import Meta
from greenline.emulator.world import Account, App, Number, Person
from support.voice import tone, voiced_seconds
from support.wait import PATIENCE_SECONDS, eventually


class Line:
    """A number, a person, and the business's end of a call."""

    def __init__(self) -> None:
        self.meta = Meta()
        self.number = Number("1", "2", "+1 555-0100", "Fern", settings={"calling": {"status": "ENABLED"}})
        self.ann = Person("ann", "Ann", "15550100001", "US.1")
        world = self.meta.world
        world.apps["app"] = App("app", "secret", "verify", callback_url="http://127.0.0.1:9/")
        world.accounts["2"] = Account("2", "Fern", subscribed={"app": None})
        world.numbers["1"], world.people["ann"] = self.number, self.ann
        self.pcm = bytearray()
        self.keys: list[str] = []
        self.media = MediaCall(on_pcm=self.pcm.extend, on_digit=self.keys.append)

    @property
    def told_errors(self) -> list[int]:
        """The codes that stood beside what the business was told of calls."""
        bodies = [json.loads(delivery.body) for delivery in self.meta.webhooks.deliveries]
        values = [body["entry"][0]["changes"][0]["value"] for body in bodies]
        return [error["code"] for value in values for error in value.get("errors", [])]

    @property
    def told(self) -> list[dict[str, Any]]:
        """What the business was told of calls."""
        bodies = [json.loads(delivery.body) for delivery in self.meta.webhooks.deliveries]
        values = [body["entry"][0]["changes"][0]["value"] for body in bodies]
        return [item for value in values for item in [*value.get("calls", []), *value.get("statuses", [])]]

    def news(self, name: str) -> list[dict[str, Any]]:
        """The events or statuses of one name."""
        return [item for item in self.told if name in (item.get("event"), item.get("status"))]

    async def act(self, action: str, **body: Any) -> dict[str, Any]:
        """An action of the business."""
        whole = {"messaging_product": "whatsapp", "action": action, **body}
        return await self.meta.desk.act(self.number, whole, "http://graph.test")


@contextlib.asynccontextmanager
async def line() -> AsyncIterator[Line]:
    made = Line()
    try:
        yield made
    finally:
        await made.media.close()
        await made.meta.aclose()


async def test_a_call_is_announced_recorded_and_written_down() -> None:
    async with line() as at:
        at.meta.config.call_files_delay = 0.0
        call = await at.meta.desk.dial(at.ann, at.number)
        answer = await at.media.answer(at.news("connect")[0]["session"]["sdp"])
        session = {"sdp_type": "answer", "sdp": answer}
        await at.act("pre_accept", call_id=call.id, session=session)
        await at.media.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await at.media.connected()
        order = {"status": "ENABLED", "purpose": "Quality"}
        await at.act("accept", call_id=call.id, session=session, recording=order, transcription=order)
        at.media.accepted()
        await eventually(lambda: any(step["what"] == "recording" for step in call.timeline))
        await eventually(lambda: voiced_seconds(bytes(at.pcm)) >= 0.9)
        assert voiced_seconds(call.heard) >= 0.9, "the person hears the announcement too"
        at.media.out.write(tone(0.4), 1)
        await eventually(lambda: bool(call.voiced) and at.media.out.queued == 0)
        # A busy machine lays the voice on the tape later than it is heard.
        await eventually(lambda: transcript(call.tape.sound(), 0.0)["transcript"]["segments"])
        call.say(tone(1.2))
        await eventually(lambda: call.peer.mouth.done.is_set())
        at.meta.desk.hang_up(call)
        await eventually(lambda: at.news("call_transcription_available"))
        (recorded,), (written,) = at.news("call_recording_available"), at.news("call_transcription_available")
        audio, document = recorded["call_recording"]["audio"], written["call_transcript"]["document"]
        assert audio["url"].startswith("http://graph.test/whatsapp_business/attachments/")
        found = [at.meta.media.find(file["id"], at.meta.clock.now(), at.number.id) for file in (audio, document)]
        sound, text = [media.data for media in found if media is not None]
        assert sound.startswith(b"OggS")
        segments = json.loads(text)["transcript"]["segments"]
        assert [segment["speaker"] for segment in segments] == ["Business", "Customer"], (
            "the announcement is not in it"
        )


async def test_a_person_is_heard_while_the_phone_rings_and_then_goes_through_a_menu() -> None:
    async with line() as at:
        at.meta.config.call_early_media, at.meta.config.call_connect_delay = True, 0.0
        at.meta.config.call_answer_setup = "actpass"
        at.meta.desk.permissions.of(at.ann, at.number).permanent = True
        offer = {"sdp_type": "offer", "sdp": await at.media.offer()}
        (made,) = (await at.act("connect", to=at.ann.phone, session=offer))["calls"]
        call = at.meta.desk.calls[made["id"]]
        await eventually(lambda: at.news("RINGING"))
        await at.media.apply_answer(at.news("connect")[0]["session"]["sdp"])
        async with asyncio.timeout(PATIENCE_SECONDS):
            await at.media.connected()
        call.say(tone(1.2))
        await eventually(lambda: voiced_seconds(bytes(at.pcm)) >= 0.35)
        assert not at.news("ACCEPTED")
        at.meta.desk.take(call)
        at.media.accepted()
        menu = [{"do": "press", "keys": "42#"}, {"do": "expect", "what": "keys", "keys": "17", "seconds": 5}]
        wrong = [{"do": "expect", "what": "keys", "keys": "9", "seconds": 0.1}]
        at.meta.desk.perform(call, Script.model_validate({"steps": [*menu, *wrong]}))
        at.media.out.press("17")
        await eventually(lambda: call.play.state != "running")
        assert call.play.shown() == {
            "state": "failed",
            "step": 2,
            "why": "expected the keys 9 within 0.1 s, and got none",
        }
        assert (at.keys, call.keys) == (list("42#"), "17")
        assert [step["what"] for step in call.timeline if "key" in step["what"]] == ["heard_key", "heard_key"]


async def test_a_business_that_speaks_early_and_then_not_at_all_is_hung_up_on() -> None:
    async with line() as at:
        at.meta.config.call_first_media_seconds = at.meta.config.call_media_seconds = 0.2
        call = await at.meta.desk.dial(at.ann, at.number)
        session = {"sdp_type": "answer", "sdp": await at.media.answer(at.news("connect")[0]["session"]["sdp"])}
        await at.act("pre_accept", call_id=call.id, session=session)
        other = {**session, "sdp": session["sdp"].replace("s=-", "s=other")}
        with pytest.raises(MetaError, match="differs from that of pre_accept"):
            await at.act("accept", call_id=call.id, session=other)
        await at.media.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await at.media.connected()
        at.media.accepted()
        await eventually(lambda: call.early_packets > 2)
        assert (call.heard, call.timeline[-1]["what"]) == (b"", "early_audio")
        at.media.out.stop()
        await at.act("accept", call_id=call.id, session=session)
        await eventually(lambda: at.news("terminate"))
        (ended,) = at.news("terminate")
        assert (ended["status"], call.ended_by, call.error) == ("FAILED", "no_media", 138021)
        with pytest.raises(MetaError, match="can't be accepted any more"):
            await at.act("accept", call_id=call.id, session=session)


async def test_a_call_that_the_business_does_not_accept_in_time_is_over() -> None:
    async with line() as at:
        call = await at.meta.desk.dial(at.ann, at.number)
        await asyncio.sleep(0)  # the timer begins
        at.meta.clock.advance(44)
        assert call.state == "ringing"
        at.meta.clock.advance(2)
        await eventually(lambda: at.news("terminate"))
        (ended,) = at.news("terminate")
        assert (call.ended_by, ended["status"], "start_time" in ended) == ("business_silent", "COMPLETED", False)


async def test_a_business_may_end_its_call_before_the_relay_has_answered() -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    async with line() as at:
        at.meta.desk.permissions.of(at.ann, at.number).permanent = True
        offer = {"sdp_type": "offer", "sdp": await at.media.offer()}
        for wrong in ({"a": 1}, "x" * 513):
            with pytest.raises(MetaError, match="at most 512"):
                await at.act("connect", to=at.ann.phone, session=offer, biz_opaque_callback_data=wrong)
        (made,) = (await at.act("connect", to=at.ann.phone, session=offer, biz_opaque_callback_data="mine"))["calls"]
        await at.act("terminate", call_id=made["id"])
        await eventually(lambda: at.news("terminate"))
        assert at.news("terminate")[0]["biz_opaque_callback_data"] == "mine"
        assert not at.news("connect")
    assert faults == []


async def test_a_description_that_can_not_be_used_ends_its_call_or_is_refused() -> None:
    mux = "a=rtcp-mux\r\n"
    async with line() as at:
        permission = at.meta.desk.permissions.of(at.ann, at.number)
        permission.permanent = True
        offer = {"sdp_type": "offer", "sdp": (await at.media.offer()).replace(mux, "")}
        await at.act("connect", to=at.ann.phone, session=offer)
        await eventually(lambda: at.news("terminate"))
        (ended,) = at.news("terminate")
        assert (ended["status"], at.told_errors) == ("FAILED", [138007])
        assert permission.unanswered == 0, "nobody's phone rang"
        call = await at.meta.desk.dial(at.ann, at.number)
        async with contextlib.AsyncExitStack() as stack:
            other = MediaCall(on_pcm=bytearray().extend, on_digit=list[str]().append)
            stack.push_async_callback(other.close)
            answer = (await other.answer(at.news("connect")[0]["session"]["sdp"])).replace(mux, "")
        with pytest.raises(MetaError, match="#100"):
            await at.act("pre_accept", call_id=call.id, session={"sdp_type": "answer", "sdp": answer})


async def test_a_person_who_hangs_up_while_they_dial_or_are_accepted_stays_hung_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with line() as at:
        dialling = asyncio.create_task(at.meta.desk.dial(at.ann, at.number))
        await asyncio.sleep(0)  # it begins, and gathers candidates
        at.meta.desk.hang_up(next(iter(at.meta.desk.calls.values())))
        assert (await dialling).state == "ended"
        assert not at.news("connect")
        call = await at.meta.desk.dial(at.ann, at.number)
        answer = await at.media.answer(at.news("connect")[0]["session"]["sdp"])
        apply, hung_up = call.peer.apply_answer, asyncio.Event()

        async def apply_slowly(sdp: str) -> None:
            """As where the name of a candidate has to be looked up."""
            await apply(sdp)
            await hung_up.wait()

        monkeypatch.setattr(call.peer, "apply_answer", apply_slowly)
        session = {"sdp_type": "answer", "sdp": answer}
        accepting = asyncio.create_task(at.act("accept", call_id=call.id, session=session))
        await asyncio.sleep(0)
        at.meta.desk.hang_up(call)
        await eventually(lambda: call.state == "ended")
        hung_up.set()
        with pytest.raises(MetaError, match="can't be accepted any more"):
            await accepting
        assert [step["what"] for step in call.timeline] == ["dialled", "ended"]
        assert at.meta.desk.why_not(at.ann, at.number) is None, "the phone is free"


async def test_reports_alone_are_no_sound_of_the_business() -> None:
    async with line() as at:
        at.meta.config.call_first_media_seconds = PATIENCE_SECONDS
        call = await at.meta.desk.dial(at.ann, at.number)
        session = {"sdp_type": "answer", "sdp": await at.media.answer(at.news("connect")[0]["session"]["sdp"])}
        await at.act("pre_accept", call_id=call.id, session=session)
        await at.media.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await at.media.connected()
        await at.act("accept", call_id=call.id, session=session)
        await eventually(lambda: call.peer.keypad.last_packet_at)
        at.meta.config.call_first_media_seconds = 1.6  # aiortc reports every 0.5 to 1.5 s
        await eventually(lambda: at.news("terminate"))
        assert (call.ended_by, call.error, call.peer.packets) == ("no_media", 138021, 0)


async def refuse_call(at: Line) -> Call:
    """A call of the business that the person rejects; returns when the business was told of its end."""
    media = MediaCall(on_pcm=bytearray().extend, on_digit=list[str]().append)
    try:
        session = {"sdp_type": "offer", "sdp": await media.offer()}
        (made,) = (await at.act("connect", to=at.ann.phone, session=session))["calls"]
        await eventually(lambda: any(end["id"] == made["id"] for end in at.news("terminate")))
    finally:
        await media.close()
    return at.meta.desk.calls[made["id"]]


async def test_a_person_who_did_not_take_two_calls_is_asked_whether_there_shall_be_more() -> None:
    async with line() as at:
        at.meta.config.call_connect_delay = 0.0
        at.ann.answers_calls = "reject"
        at.meta.desk.permissions.of(at.ann, at.number).permanent = True
        refused = [await refuse_call(at) for _ in range(2)]
        await eventually(lambda: {call.peer.mouth.readyState for call in refused} == {"ended"})
        (question,) = at.meta.world.chat(at.ann, at.number).screen
        assert (question.rendered, question.asks_to_call) == (permission_desk.QUESTION, True)
        (event,) = at.meta.journal.after(0, "call.permission_questioned")
        assert event["message_id"] == question.id


@pytest.mark.parametrize(
    ("change", "whom", "code"),
    [
        ({"test_recipients": {"15550100009"}}, "+15550100001", 131030),
        ({"registered": False}, "+15550100001", 133010),
        ({"coexists": True}, "+15550100001", 138000),
        ({}, "+15550100009", 138001),
        ({}, "", 100),
    ],
)
async def test_numbers_that_can_not_call_and_people_who_can_not_be_called(
    change: dict[str, Any], whom: str, code: int
) -> None:
    async with line() as at:
        vars(at.number).update(change)
        at.meta.desk.permissions.of(at.ann, at.number).permanent = True
        session = {"sdp_type": "offer", "sdp": await at.media.offer()}
        with pytest.raises(MetaError, match=f"#{code}\\b"):
            await at.act("connect", to=whom, session=session)
        allowed = {"test_recipients": {at.ann.phone}, "registered": True, "coexists": False}
        vars(at.number).update(allowed)
        assert (await at.act("connect", to="+1 (555) 010-0001", session=session))["calls"]


async def test_a_phone_that_is_offline_does_not_ring() -> None:
    async with line() as at:
        at.meta.config.call_connect_delay = 0.0
        at.ann.online, at.ann.answers_calls = False, "auto"
        at.meta.desk.permissions.of(at.ann, at.number).permanent = True
        session = {"sdp_type": "offer", "sdp": await at.media.offer()}
        (made,) = (await at.act("connect", to="+15550100001", session=session))["calls"]
        await eventually(lambda: at.news("connect"))
        call = at.meta.desk.calls[made["id"]]
        at.meta.desk.take(call)
        await asyncio.sleep(0)  # the timer begins
        at.meta.clock.advance(61)
        await eventually(lambda: at.news("terminate"))
        assert (call.ended_by, at.news("RINGING"), at.news("ACCEPTED")) == ("no_answer", [], [])


async def test_nobody_speaks_in_a_call_that_is_over_by_then() -> None:
    async with line() as at:
        call = await at.meta.desk.dial(at.ann, at.number)
        at.meta.desk.hang_up(call)
        await eventually(lambda: call.state == "ended")
        with pytest.raises(ValueError, match="over"):
            await at.meta.desk.attach(call, await at.media.offer())
        assert call.phone is None, "nobody would close it"
        call.hear(bytes(1920))
        assert call.early_packets == 0, "sound that was on its way when the call ended is not early"


async def test_of_two_browsers_that_join_at_once_one_plays_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    phones: list[Peer] = []

    class Phone(Peer):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            phones.append(self)

    async with line() as at, contextlib.AsyncExitStack() as stack:
        call = await at.meta.desk.dial(at.ann, at.number)
        offers = []
        for _ in range(2):
            browser = RTCPeerConnection()
            stack.push_async_callback(browser.close)
            browser.addTrack(AudioStreamTrack())
            await browser.setLocalDescription(await browser.createOffer())
            offers.append(browser.localDescription.sdp)
        monkeypatch.setattr("greenline.emulator.calls.desk.Peer", Phone)
        await asyncio.gather(*(at.meta.desk.attach(call, offer) for offer in offers))
        assert call.browsers == len(phones) == 2
        await eventually(lambda: [phone for phone in phones if phone.mouth.readyState == "live"] == [call.phone])
        at.meta.desk.hang_up(call)
        await eventually(lambda: call.phone is None)
        assert [phone.mouth.readyState for phone in phones] == ["ended", "ended"]
