"""The silence in a call: as the agent's side hears and sends it, and by the watch of the person at the other end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from greenline.channels.live.models import Interruption, LiveEvent, ResponseComplete
from greenline.channels.live.session import LiveSession
from greenline.channels.webrtc.media import MediaCall
from greenline.channels.webrtc.opus import silence
from greenline.clock import ManualClock
from greenline.conversations.events import TurnTimed
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.live import Stage, stage, told_of
from support.rtc_peer import RtcPeer
from support.spoken import SpokenSpeech
from support.voice import tone
from support.wait import PATIENCE_SECONDS, eventually, until

MOST_TURNS = 10
"""By the person's watch the best one counts: others may keep the machine busy while a packet is on its way."""
MOST_OFF_MS = 20
MOST_UNHEARD_MS = 200
LOUD = 4_000
"""A sample of the tone that the person makes has twice that."""


@dataclass
class Line:
    """A call that is connected to an agent."""

    live: Stage
    speech: SpokenSpeech
    peer: RtcPeer
    session: LiveSession
    told: list[LiveEvent]
    heard: list[float]
    """When loud sound came to the agent's side."""
    sent: list[float]
    """When packets that are not plain silence left it."""

    async def say(self, seconds: float) -> None:
        """The person makes a sound; returns when all of it has left."""
        packets = len(self.peer.spoken) + seconds * 50 + 1  # the codec brings out the end one packet later
        self.peer.out.write(tone(seconds), 1)
        await eventually(lambda: len(self.peer.spoken) >= packets)

    async def answers(self, packets: int) -> None:
        """Returns when the agent has said more than so many packets."""
        await eventually(lambda: len(self.peer.spoken_to) > packets)

    async def first_heard(self, place: int, after: float) -> float:
        """When the person is first spoken to after a moment, among the packets from ``place`` on."""

        async def heard() -> list[float]:
            return [at for at in self.peer.spoken_to[place:] if at > after]

        return (await until(heard))[0]


@pytest.fixture
async def line(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Line]:
    speech, peer = SpokenSpeech(hums=True), RtcPeer()
    heard: list[float] = []
    sent: list[float] = []
    now = asyncio.get_running_loop().time

    def hear(pcm: bytes) -> None:
        if max(memoryview(pcm).cast("h")) >= LOUD:
            heard.append(now())
        session.hear(pcm)

    def stamp(data: bytes) -> bytes:
        if not data.endswith(silence()):
            sent.append(now())
        return stamped(data)

    config = {"turn": {"turn_timeout": -1}}
    async with contextlib.AsyncExitStack() as stack:
        live = await stack.enter_async_context(stage(pool, dsn, clock, settings, config, speech=speech))
        call = MediaCall(on_pcm=hear, on_digit=lambda digit: None)
        stamped = call.out.stamp
        monkeypatch.setattr(call.out, "stamp", stamp)
        stack.push_async_callback(peer.close)
        stack.push_async_callback(call.close)
        session, told = await live.begin(call.out)
        await eventually(lambda: bool(speech.streams))
        await peer.apply_answer(await call.answer(await peer.offer()))
        await call.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await call.connected()
        call.accepted()
        peer.out.open()
        yield Line(live, speech, peer, session, told, heard, sent)


async def test_the_waits_of_a_turn_add_up_to_the_silence_that_the_person_measures(line: Line) -> None:
    """Within 20 ms, from the last voiced packet to the first of the answer; in every turn, by the agent's side."""
    line.live.model.say = lambda request: "Yes."
    here: list[float] = []
    off: list[float] = []
    for turn in range(1, MOST_TURNS + 1):
        line.speech.texts.append("Do you sell tea?")
        answered, answered_here = len(line.peer.spoken_to), len(line.sent)
        await line.say(0.6)
        ended = line.peer.spoken[-1]
        await told_of(line.told, ResponseComplete, turn)
        # The end of the answer before may still have been on its way when the person began.
        first = await line.first_heard(answered, ended)
        left = next(at for at in line.sent[answered_here:] if at > line.heard[-1])
        timed = [event for event in await line.live.journal(line.session) if isinstance(event, TurnTimed)]
        assert len(timed) == turn
        waited = sum(timed[-1].waits.values())
        here.append(abs(waited - (left - line.heard[-1]) * 1000))
        off.append(abs(waited - (first - ended) * 1000))
        if off[-1] <= MOST_OFF_MS:
            break
    assert max(here) <= MOST_OFF_MS, here
    assert min(off) <= MOST_OFF_MS, off


async def test_the_agent_is_silent_200_ms_after_the_voice_of_the_person_begins(line: Line) -> None:
    line.live.model.say = lambda request: "word " * 50
    stops: list[float] = []
    for turn in range(1, MOST_TURNS + 1):
        line.speech.texts.append("Tell me something long.")
        await line.say(0.6)
        answered = len(line.peer.spoken_to)  # only now: much of the answer before may have come late
        await line.answers(answered + 25)
        began = len(line.peer.spoken)
        await line.say(0.4)
        await told_of(line.told, Interruption, turn)
        await line.say(0.1)
        stops.append((line.peer.spoken_to[-1] - line.peer.spoken[began]) * 1000)
        if stops[-1] <= MOST_UNHEARD_MS:
            break
        await eventually(lambda: line.session._floor.free)
    assert min(stops) <= MOST_UNHEARD_MS, stops
