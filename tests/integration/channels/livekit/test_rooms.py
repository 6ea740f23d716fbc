"""Rooms of a LiveKit server: the SDK on both sides, an agent that does what the test says, a stand-in as a rule."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from greenline.agents.config import ConversationConfig, PlatformSettings, Workflow
from greenline.agents.models import AgentVersion
from greenline.channels.live.models import AgentResponse
from greenline.channels.livekit.errors import RoomUnreachable, TooManyRooms
from greenline.channels.livekit.service import Invitation, Rooms
from greenline.channels.socket.access import Admission
from greenline.channels.socket.hosting import Arrival, Host
from greenline.clock import ManualClock
from greenline.errors import Unavailable
from greenline.settings import Settings
from greenline.speech.models import Alignment
from greenline.speech.resample import resample
from greenline.store.objects import FolderObjects
from greenline.store.pool import Pool
from support.livekit_real import BOTH, LiveKit, with_livekit
from support.livekit_server import LiveKitServer
from support.room_person import RoomPerson, person_in
from support.rows import WORKSPACE
from support.scripted_session import ScriptedSession, ScriptedSessions
from support.voice import tone, voiced_seconds
from support.wait import PATIENCE_SECONDS, eventually, until

AGENT = AgentVersion(
    id="agtvrsn_1",
    agent_id="agent_1",
    agent_name="Tea",
    branch_id="agtbrch_1",
    conversation_config=ConversationConfig(),
    platform_settings=PlatformSettings.model_validate({"call_limits": {"daily_limit": -1}}),
    workflow=Workflow(),
)
WAIT_SECONDS = 20


@dataclass
class Place:
    """Rooms of a LiveKit server, with one agent."""

    livekit: LiveKit
    rooms: Rooms
    host: Host
    sessions: ScriptedSessions
    arrival: Arrival
    clock: ManualClock

    @property
    def server(self) -> LiveKitServer:
        """The stand-in, in tests that look at what it knows."""
        assert isinstance(self.livekit, LiveKitServer)
        return self.livekit

    async def invite(self) -> Invitation:
        return await self.rooms.invite(self.arrival, "Ann")

    @contextlib.asynccontextmanager
    async def talk(self, **data: Any) -> AsyncIterator[tuple[RoomPerson, ScriptedSession]]:
        """A person whose conversation has begun."""
        invitation = await self.invite()
        async with person_in(self.livekit.url, invitation.token) as person:
            await person.begin(**data)
            await eventually(lambda: self.sessions.sessions and self.sessions.sessions[-1]._listeners)
            yield person, self.sessions.sessions[-1]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take long for the last words and the receipt of them."""
    monkeypatch.setattr("greenline.channels.socket.wire.CLOSE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr("greenline.channels.livekit.room.RECEIPT_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
async def place(tmp_path: Path, livekit: LiveKit) -> AsyncIterator[Place]:
    clock = ManualClock(datetime.now(UTC))  # tokens have to be good for the stand-in, whose clock runs
    sessions = ScriptedSessions(text_only=False)
    waiting = {"livekit_wait_seconds": WAIT_SECONDS, "livekit_waiting_rooms": 1}
    settings = with_livekit(Settings(data_dir=tmp_path), livekit, **waiting)
    nothing_stored = cast("Pool", None)  # an agent without limits is not counted
    host = Host(
        pool=nothing_stored,
        objects=FolderObjects(settings.data_dir),
        clock=clock,
        settings=settings,
        sessions=sessions,
    )
    rooms = Rooms(host=host, clock=clock, settings=settings)
    arrival = Arrival(Admission(AGENT, WORKSPACE, "public"), "js_sdk", "1.25.0")
    yield Place(livekit, rooms, host, sessions, arrival, clock)
    await asyncio.gather(host.stop(0), rooms.stop(0))


async def test_the_agent_waits_in_the_room_that_the_token_names(place: Place) -> None:
    invitation = await place.invite()
    [room] = place.server.rooms.values()
    [identity] = room.participants
    assert room.name == invitation.conversation_id
    assert identity.startswith("agent")
    assert place.sessions.starts == []
    async with person_in(place.server.url, invitation.token) as person:
        first = await person.begin(dynamic_variables={"name": "Ann"})
        assert person.room.local_participant.name == "Ann"
    assert first["conversation_initiation_metadata_event"] == {
        "conversation_id": invitation.conversation_id,
        "agent_output_audio_format": "pcm_48000",
        "user_input_audio_format": "pcm_48000",
    }
    [start] = place.sessions.starts
    assert (start.source, start.version, start.admission.method) == ("js_sdk", "1.25.0", "livekit_token")
    assert start.data["dynamic_variables"] == {"name": "Ann"}


async def test_a_person_is_heard_before_the_server_tells_of_them(place: Place) -> None:
    """It tells late of who publishes nothing."""
    place.server.batch_seconds = 3600.0
    async with place.talk() as (person, session):
        await person.send(type="user_message", text="Do you have oolong?")
        await eventually(lambda: ("message", "Do you have oolong?", (), None) in session.heard)


async def test_a_person_of_whom_the_server_never_tells_has_left(place: Place) -> None:
    """They came and went between two of its batches."""
    place.server.batch_seconds = 3600.0
    async with place.talk() as (_, session):
        pass
    await until_over(place, session)


@BOTH
async def test_messages_go_both_ways(place: Place) -> None:
    async with place.talk() as (person, session):
        await person.send(type="user_message", text="Do you have oolong?")
        await eventually(lambda: ("message", "Do you have oolong?", (), None) in session.heard)
        session.tell(AgentResponse(1, "We do.", "resp_1"))
        answer = await person.until("agent_response")
        assert answer["agent_response_event"]["agent_response"] == "We do."
        session.tell(AgentResponse(2, "x" * 70_000, "resp_2"))
        session.tell(AgentResponse(3, "Which one?", "resp_3"))
        await person.until("agent_response", lambda it: it["agent_response_event"]["event_id"] == 3)
        assert not [it for it in person.seen if it["type"] == "agent_response" and len(str(it)) > 70_000]
        ping = await person.until("ping")
        await person.send(type="pong", event_id=ping["ping_event"]["event_id"])


@BOTH
async def test_sound_goes_both_ways(place: Place) -> None:
    async with place.talk() as (person, session):
        async with person.speaking(resample(tone(10.0), 16_000, 48_000)):
            await eventually(lambda: voiced_seconds(heard_by(session)) > 0.4)
        assert session.out is not None
        assert session.out.rate == 48_000
        await eventually(lambda: person.heard)
        session.out.write(resample(tone(0.6), 16_000, 48_000), 1, Alignment(("H", "i"), (0, 100), (100, 100)))
        assert session.out.queued > 0.5
        await eventually(lambda: voiced_seconds(bytes(person.heard)) > 0.3)
        event = (await person.until("audio"))["audio_event"]
        assert (event["audio_base_64"], event["alignment"]["chars"]) == ("", ["H", "i"])
        session.out.write(resample(tone(5.0), 16_000, 48_000), 2)
        assert session.out.clear() > 4.0
        assert session.out.queued == 0.0


@pytest.mark.usefixtures("patient")
async def test_a_fault_in_what_is_heard_ends_the_conversation(place: Place) -> None:
    """Else nobody would hear the person any more, and nobody would know."""

    def break_down(pcm: bytes) -> None:
        raise LookupError("a fault of the detector")

    async with place.talk() as (person, session):
        session.listen = break_down
        async with person.speaking(resample(tone(5.0), 16_000, 48_000)):
            told = await person.until("error")
        assert told["error_event"]["error_type"] == "unknown_websocket_crash"
    assert session.ended is not None


@BOTH
@pytest.mark.usefixtures("patient")
async def test_sound_in_messages_is_refused(place: Place) -> None:
    async with place.talk() as (person, session):
        await person.send(user_audio_chunk="AAAA")
        error = (await person.until("error"))["error_event"]
        await eventually(lambda: person.left)
    assert "microphone" in error["reason"]
    assert session.ended is not None


async def test_the_conversation_ends_with_the_person(place: Place) -> None:
    async with place.talk() as (_, session):
        pass
    await eventually(lambda: session.ended is not None)
    assert session.ended is not None
    assert session.ended.reason == "Client disconnected"
    await eventually(lambda: not place.server.rooms)


async def test_a_person_whose_network_breaks_may_come_back(place: Place) -> None:
    invitation = await place.invite()
    async with person_in(place.server.url, invitation.token) as person:
        await person.begin()
        room = place.server.rooms[invitation.conversation_id]
        await place.server.lose(room.participants[person.room.local_participant.identity])
        await they_come_back(place, invitation)


@BOTH
async def test_a_person_may_come_back_before_the_server_notices_that_they_were_gone(place: Place) -> None:
    invitation = await place.invite()
    async with person_in(place.livekit.url, invitation.token) as person:
        await person.begin()
        await they_come_back(place, invitation)


async def they_come_back(place: Place, invitation: Invitation) -> None:
    session = place.sessions.sessions[-1]
    async with person_in(place.livekit.url, invitation.token) as again:
        await again.send(type="user_message", text="Here I am.")
        await eventually(lambda: ("message", "Here I am.", (), None) in session.heard)
        place.clock.advance(timedelta(seconds=15))
        await again.send(type="user_message", text="Are you there?")
        await eventually(lambda: ("message", "Are you there?", (), None) in session.heard)
        assert session.ended is None


async def test_a_person_who_does_not_come_back_has_left(place: Place) -> None:
    async with place.talk() as (person, session):
        [room] = place.server.rooms.values()
        await place.server.lose(room.participants[person.room.local_participant.identity])
        await eventually(lambda: len(room.participants) == 1)
        await until_over(place, session)


@BOTH
async def test_the_conversation_ends_with_the_room(place: Place) -> None:
    async with place.talk() as (person, session):
        await place.livekit.delete(person.room.name)
        await eventually(lambda: session.ended is not None)


@BOTH
@pytest.mark.usefixtures("patient")
async def test_the_agent_leaves_when_the_conversation_ends(place: Place) -> None:
    async with place.talk() as (person, session):
        session.tell(AgentResponse(1, "Goodbye.", "resp_1"))
        session.end("The agent hung up")
        await eventually(lambda: person.left)
        kinds = [message["type"] for message in person.seen]
        assert [kind for kind in kinds if kind != "ping"][-1] == "agent_response"
    assert person.left[0].startswith("agent")


@BOTH
@pytest.mark.usefixtures("patient")
async def test_the_last_words_have_arrived_when_the_agent_leaves(place: Place) -> None:
    """More of them than go out at once."""
    async with place.talk() as (person, session):
        for number in range(10):
            session.tell(AgentResponse(number, "x" * 20_000, f"resp_{number}"))
        session.end("The agent hung up")
        await eventually(lambda: person.left)
        assert len([message for message in person.seen if message["type"] == "agent_response"]) == 10


@pytest.mark.parametrize("batch_seconds", [0.1, 3600.0])
@pytest.mark.usefixtures("patient")
async def test_the_last_words_arrive_over_a_slow_network(place: Place, batch_seconds: float) -> None:
    """What is on its way when somebody leaves a room is lost, whether the server has told of the person or not."""
    place.server.batch_seconds = batch_seconds
    async with place.talk() as (person, session):
        [room] = place.server.rooms.values()
        place.server.delayed = []
        session.tell(AgentResponse(1, "Goodbye.", "resp_1"))
        session.end("The agent hung up")
        await eventually(lambda: len(place.server.delayed or ()) >= 2 or len(room.participants) == 1)
        place.server.deliver()
        await person.until("agent_response")
        await eventually(lambda: person.left)


async def test_who_gives_no_receipt_is_left_all_the_same(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenline.channels.livekit.room.RECEIPT_SECONDS", 0.1)
    async with place.talk() as (person, session):
        place.server.delayed = []
        session.end("The agent hung up")
        await eventually(lambda: person.left)


async def test_nobody_is_waited_for_for_ever(place: Place) -> None:
    await place.invite()
    with pytest.raises(TooManyRooms):
        await place.invite()
    place.clock.advance(timedelta(seconds=WAIT_SECONDS + 1))
    await eventually(lambda: not place.server.rooms and not place.rooms._waiting)
    assert place.sessions.starts == []
    await place.invite()


@BOTH
async def test_nobody_is_waited_for_in_a_room_that_is_gone(place: Place) -> None:
    """The place is free for the next one."""
    invitation = await place.invite()
    await place.livekit.delete(invitation.conversation_id)
    await eventually(lambda: not place.rooms._waiting)
    await place.invite()


@pytest.mark.usefixtures("patient")
async def test_a_drain_ends_what_waits_and_what_runs(place: Place) -> None:
    async with place.talk() as (person, session):
        await place.invite()
        await asyncio.gather(place.host.stop(0), place.rooms.stop(0))
        error = (await person.until("error"))["error_event"]
        assert error["code"] == 1012
        assert session.ended is not None
        await eventually(lambda: person.left)
        with pytest.raises(Unavailable):
            await place.invite()


@BOTH
async def test_a_server_with_another_secret_is_told_of(place: Place) -> None:
    wrong = place.rooms._settings.model_copy(update={"livekit_api_secret": SecretStr("x" * 32)})
    rooms = Rooms(host=place.host, clock=place.clock, settings=wrong)
    with pytest.raises(RoomUnreachable) as caught:
        await rooms.invite(place.arrival)
    assert "GREENLINE_LIVEKIT_API_SECRET" in caught.value.message


async def test_a_server_that_answers_too_late_is_left_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenline.channels.livekit.room.JOIN_SECONDS", 0.1)
    place.server.answers.clear()
    with pytest.raises(RoomUnreachable):
        await place.invite()
    place.server.answers.set()
    await eventually(lambda: place.server.joined)
    await eventually(lambda: not place.server.rooms)


async def until_over(place: Place, session: ScriptedSession) -> None:
    """Let time pass until the conversation has ended."""

    async def over() -> bool:
        place.clock.advance(timedelta(seconds=5))
        return session.ended is not None

    await until(over)


def heard_by(session: ScriptedSession) -> bytes:
    return b"".join(entry[1] for entry in session.heard if entry[0] == "sound")
