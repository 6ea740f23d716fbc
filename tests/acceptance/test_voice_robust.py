"""Calls over bad networks, through the whole server: nothing breaks, and the agent answers once they are good."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import pytest
import structlog
from elevenlabs.client import AsyncElevenLabs

from greenline.clock import SystemClock
from greenline.settings import Settings
from greenline.speech.espeak import EspeakSynthesiser
from greenline.speech.models import Voice
from greenline.speech.resample import Resampler
from support.calling import CallingMeta
from support.graph_stand_in import NUMBER, asking, connect
from support.rtc_peer import Network, RtcPeer
from support.voice import RATE, level, voiced_seconds
from support.wait import PATIENCE_SECONDS, eventually, until
from support.webhooks import deliver

QUESTION = "What are your opening hours?"
GAP_SECONDS = 5.0
TIMES = 3
"""How often a question is asked at most."""
BYTES_PER_SECOND = RATE * 2


@pytest.fixture
def meta() -> CallingMeta:
    """Meta's side."""
    return CallingMeta()


@pytest.fixture
def clock() -> SystemClock:
    """Speech takes its time: the server of these tests runs by the machine's clock."""
    return SystemClock()


@pytest.fixture
async def settings(settings: Settings, meta: CallingMeta) -> AsyncIterator[Settings]:
    """The server of these tests asks the stand-in."""
    async with asking(meta, settings, call_drain_seconds=1.0, stt_phrases=QUESTION) as changed:
        yield changed


@pytest.fixture(autouse=True)
def no_complaints() -> Iterator[None]:
    """The server logs no error, from its start to its end."""
    with structlog.testing.capture_logs() as entries:
        yield
    assert not [entry for entry in entries if entry["log_level"] in ("error", "critical")]


@dataclass
class Line:
    """A call of a person, from the moment at which they hear the agent."""

    peer: RtcPeer
    http: httpx2.AsyncClient
    client: AsyncElevenLabs

    async def ask(self, question: bytes) -> None:
        """Speak, as the network lets it through; return when all of it is sent."""
        self.peer.out.write(question, 1)
        await eventually(lambda: not self.peer.out.queued)

    async def quiet(self) -> None:
        """Return when the agent has been silent for a second and a half: what it heard before is dealt with."""
        begun = len(self.peer.heard)
        span = int(1.5 * BYTES_PER_SECOND)
        await eventually(
            lambda: len(self.peer.heard) > begun + span and level(bytes(self.peer.heard[-span:])) < 50, seconds=30
        )

    async def answered(self, question: bytes) -> None:
        """Ask, again where the agent did not understand, until it is heard: a busy machine tears a voice."""
        before = len(self.peer.heard)
        for _ in range(TIMES):
            known = len(await self.transcript())
            await self.ask(question)
            with contextlib.suppress(TimeoutError):  # to what is hardly a voice the agent says nothing
                if "user" in await until(partial(self.who_speaks, known), seconds=PATIENCE_SECONDS / TIMES):
                    break
        await eventually(lambda: voiced_seconds(bytes(self.peer.heard[before:])) > 0.5)

    async def transcript(self) -> Sequence[Any]:
        """What was said so far."""
        (summary,) = (await self.client.conversational_ai.conversations.list()).conversations
        found: Any = await self.client.conversational_ai.conversations.get(summary.conversation_id)
        return list(found.transcript)

    async def who_speaks(self, known: int) -> list[str] | None:
        """Who has said something after the ``known`` turns, once the agent has."""
        roles = [turn.role for turn in (await self.transcript())[known:]]
        return roles if "agent" in roles else None

    async def hang_up(self) -> Any:
        """End the call; gives its conversation."""
        await deliver(
            self.http,
            "calls",
            calls=[call("terminate", status="COMPLETED", start_time="1", end_time="9", duration=8)],
        )
        await self.peer.close()

        async def over() -> Any:
            (summary,) = (await self.client.conversational_ai.conversations.list()).conversations
            found = await self.client.conversational_ai.conversations.get(summary.conversation_id)
            ended = found.status in ("done", "failed") and found.metadata.whatsapp.call_result
            return found if ended else None

        return await until(over)


@pytest.fixture
async def line(client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: CallingMeta) -> Line:
    """A person who has called and hears the greeting."""
    await connect(http)
    config: Any = {
        "agent": {"first_message": "Hello!", "prompt": {"prompt": "We open at nine."}},
        "turn": {"turn_timeout": -1},  # what is heard after a question is its answer
    }
    made = await client.conversational_ai.agents.create(name="Rosie", conversation_config=config)
    await client.conversational_ai.whatsapp_accounts.update(NUMBER, assigned_agent_id=made.agent_id)
    peer = RtcPeer(Network(seed=11))
    session = {"sdp_type": "offer", "sdp": await peer.offer()}
    await deliver(http, "calls", calls=[call("connect", direction="USER_INITIATED", session=session)])
    await peer.apply_answer((await meta.calls.action("pre_accept"))["session"]["sdp"])
    await meta.calls.action("accept")
    peer.out.open()
    await eventually(lambda: voiced_seconds(bytes(peer.heard)) > 0.2)
    line = Line(peer, http, client)
    await line.quiet()
    return line


@pytest.fixture
async def question() -> bytes:
    """A question in a voice that the embedded recogniser understands."""
    synthesiser = EspeakSynthesiser()
    resampler = Resampler(synthesiser.rate, RATE)
    try:
        return b"".join([resampler.push(chunk.pcm) async for chunk in synthesiser.say(QUESTION, Voice())])
    finally:
        await synthesiser.aclose()


def call(event: str, **more: Any) -> dict[str, Any]:
    return {"id": "wacid.1", "from": "15551230000", "to": "15550001111", "event": event, "timestamp": "1", **more}


@pytest.mark.parametrize(("loss", "jitter_seconds"), [(0.02, 0.0), (0.1, 0.0), (0.2, 0.3)], ids=str)
async def test_a_call_survives_a_bad_network(line: Line, question: bytes, loss: float, jitter_seconds: float) -> None:
    line.peer.network.loss, line.peer.network.jitter_seconds = loss, jitter_seconds
    await line.ask(question)
    await line.quiet()
    line.peer.network.loss = line.peer.network.jitter_seconds = 0.0
    await line.answered(question)
    good(await line.hang_up())


async def test_a_gap_of_five_seconds_ends_the_turn_and_not_the_call(line: Line, question: bytes) -> None:
    line.peer.out.write(question, 1)
    await eventually(lambda: line.peer.out.queued < len(question) / BYTES_PER_SECOND / 2)  # in the middle of a word
    line.peer.network.cut = True
    heard = len(line.peer.heard)
    await eventually(lambda: len(line.peer.heard) > heard + GAP_SECONDS * BYTES_PER_SECOND)
    line.peer.network.cut = False
    await line.quiet()
    await line.answered(question)
    good(await line.hang_up())


def good(conversation: Any) -> None:
    """The call went well, and the question that was asked last was understood and answered."""
    assert conversation.status == "done"
    assert conversation.metadata.whatsapp.call_result == "answered"
    *_, heard, answer = conversation.transcript
    assert (heard.role, answer.role) == ("user", "agent")
    assert "opening hours" in heard.message.lower()
    assert answer.message
