"""Voice over the agent socket with the embedded speech: the official Python client speaks, listens and interrupts."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from elevenlabs import ElevenLabs

from greenline.clock import SystemClock
from greenline.settings import Settings
from greenline.speech.formats import pcm_from_ulaw, ulaw_from_pcm
from greenline.speech.models import HEARING_RATE
from greenline.speech.resample import resample
from greenline.store.pool import Pool
from support.embedded_voice import spoken, understood
from support.scripted import Answer, Request, scripted
from support.sdk_conversation import (
    AsyncAudioInterface,
    AsyncConversation,
    OnPremInitiationData,
    PostCallWebhookConfig,
)
from support.server import RunningServer, run_server
from support.socket_agents import EVENTS, finished, make_agent
from support.sockets import client
from support.voice import voiced_seconds
from support.wait import eventually

QUESTION, NO = "When are you open?", "No thank you"
CHUNK_SECONDS = 0.1
ALL_EVENTS = [
    *EVENTS,
    "tentative_user_transcript",
    "vad_score",
    "agent_tool_response_full_payload",
    "context_usage",
    "internal_turn_probability",
    "internal_tentative_agent_response",
]
"""More than this client knows: it passes over the rest."""
STORY = (
    "We open at nine in the morning, and we close at six in the evening, from Monday to Friday. "
    "On Saturdays we open at ten and close at two. On Sundays the shop is closed, but the garden is open."
)


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[RunningServer]:
    """A server whose clock runs: sound has a time of its own. Everybody may bring an agent to it."""
    changes = {"enclave_setup": True, **understood(QUESTION, NO)}
    async with run_server(settings.model_copy(update=changes), SystemClock()) as running:
        yield running


async def beats(seconds: float) -> AsyncIterator[int]:
    """Counts in real time for ever; a busy machine delays a beat, never the ones after it."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for beat in itertools.count():
        await asyncio.sleep(begun + beat * seconds - loop.time())
        yield beat


@dataclass
class Headset(AsyncAudioInterface):
    """A microphone that is always on, and loudspeakers that keep what they play: both in real time."""

    played: bytearray = field(default_factory=bytearray)
    interruptions: int = 0
    _say: bytearray = field(default_factory=bytearray)
    _play: bytearray = field(default_factory=bytearray)
    _task: asyncio.Task[None] | None = None

    def say(self, pcm: bytes) -> None:
        """Speak into the microphone."""
        self._say += pcm

    async def start(self, input_callback: Callable[[bytes], Awaitable[None]]) -> None:
        self._task = asyncio.create_task(self._record(input_callback))

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def output(self, audio: bytes) -> None:
        self._play += audio

    async def interrupt(self) -> None:
        self._play.clear()
        self.interruptions += 1

    async def _record(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        size = int(HEARING_RATE * CHUNK_SECONDS) * 2
        async for _ in beats(CHUNK_SECONDS):
            piece, self._say = bytes(self._say[:size]), self._say[size:]
            await send(piece.ljust(size, b"\0"))
            self.played += self._play[:size]
            del self._play[:size]


@dataclass
class Heard:
    """What the client's callbacks were given."""

    answers: list[str] = field(default_factory=list)
    transcripts: list[str] = field(default_factory=list)
    corrections: list[tuple[str, str]] = field(default_factory=list)

    async def answer(self, text: str) -> None:
        self.answers.append(text)

    async def transcript(self, text: str) -> None:
        self.transcripts.append(text)

    async def correction(self, original: str, corrected: str) -> None:
        self.corrections.append((original, corrected))


@contextlib.asynccontextmanager
async def talking(
    server: RunningServer, agent_id: str, **more: Any
) -> AsyncIterator[tuple[Headset, Heard, list[str]]]:
    """A conversation by voice, until the block ends; the list gets its id then."""
    headset, heard = Headset(), Heard()
    ids: list[str] = []
    sdk = ElevenLabs(base_url=server.url)  # only its address is used: a public agent needs no request before
    talk = AsyncConversation(
        sdk,
        agent_id,
        requires_auth=False,
        audio_interface=headset,
        callback_agent_response=heard.answer,
        callback_user_transcript=heard.transcript,
        callback_agent_response_correction=heard.correction,
        **more,
    )
    await talk.start_session()
    try:
        yield headset, heard, ids
    finally:
        await talk.end_session()
        ids.append(await talk.wait_for_session_end() or "")


async def test_a_spoken_question_is_heard_and_answered(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(
        http,
        "offline: when open -> say We open at nine in the morning.",
        text_only=False,
        conversation={"client_events": ALL_EVENTS},
    )
    question = await spoken(QUESTION)
    async with talking(server, agent_id) as (headset, heard, ids):
        await eventually(lambda: heard.answers == ["Hello!"] and voiced_seconds(bytes(headset.played)) > 0.2)
        await asyncio.sleep(1.0)  # the person listens to the greeting
        headset.say(question)
        await eventually(lambda: heard.answers[-1] == "We open at nine in the morning.")
        assert heard.transcripts == [QUESTION]
        await eventually(lambda: voiced_seconds(bytes(headset.played)) > 1.2)
    shown = await finished(http, ids[0])
    assert [(turn["message"], turn["source_medium"]) for turn in shown["transcript"] if turn["role"] == "user"] == [
        (QUESTION, "audio")
    ]
    assert shown["metadata"]["text_only"] is False


async def test_a_brought_agent_speaks_and_its_sound_goes_to_a_webhook(
    server: RunningServer, pool: Pool, http: httpx2.AsyncClient
) -> None:
    told: list[Request] = []

    def receiver(request: Request) -> Answer:
        told.append(request)
        return Answer(500)

    exported = {"conversation_config": {"agent": {"first_message": "Hello!", "prompt": {"llm": "offline"}}}}
    async with scripted(receiver) as hooks:
        on_premises = OnPremInitiationData(
            on_prem_conversation_url=f"ws{server.url.removeprefix('http')}/v1/convai/conversation",
            agent_config_dict=exported,
            post_call_transcription_webhook_url=f"{hooks.url}/words",
            post_call_audio_webhook=PostCallWebhookConfig(f"{hooks.url}/sound", "sixteen-characters"),
        )
        async with talking(server, "", on_prem_config=on_premises) as (headset, heard, ids):
            await eventually(lambda: heard.answers == ["Hello!"] and voiced_seconds(bytes(headset.played)) > 0.2)
        await eventually(lambda: len(told) == 2)
        recorded = (await http.get(f"/v1/convai/conversations/{ids[0]}/audio")).content
    words, sound = sorted(told, key=lambda request: request.target, reverse=True)
    assert "elevenlabs-signature" not in words.headers
    assert words.json["data"]["has_response_audio"] is True
    assert sound.headers["transfer-encoding"] == "chunked"
    event = ElevenLabs().webhooks.construct_event(
        sound.body.decode(), sig_header=sound.headers["elevenlabs-signature"], secret="sixteen-characters"
    )
    assert (event["type"], event["data"]["conversation_id"]) == ("post_call_audio", ids[0])
    assert event["data"]["agent_id"] == words.json["data"]["agent_id"]
    assert base64.b64decode(event["data"]["full_audio"]) == recorded
    # Both were refused: one is told again, the sound never is.
    assert [row["kind"] for row in await pool.fetch("select kind from post_call_webhook")] == ["transcription"]


async def test_the_agent_stops_when_it_is_interrupted(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(
        http,
        f"offline: when open -> say {STORY}\noffline: when no -> say As you like.",
        text_only=False,
    )
    question, objection = await spoken(QUESTION), await spoken(NO)
    async with talking(server, agent_id) as (headset, heard, ids):
        await eventually(lambda: heard.answers == ["Hello!"] and voiced_seconds(bytes(headset.played)) > 0.2)
        await asyncio.sleep(1.0)  # the greeting is over: what follows interrupts nothing
        headset.say(question)
        await eventually(lambda: heard.answers[-1] == STORY)
        await asyncio.sleep(2.0)  # the person listens for a while
        headset.say(objection)
        await eventually(lambda: headset.interruptions == 1)
        await eventually(lambda: heard.answers[-1] == "As you like.")
        await eventually(lambda: bool(heard.corrections))
    [(original, corrected)] = heard.corrections
    assert original == STORY
    assert len(corrected) < len(STORY)
    shown = await finished(http, ids[0])
    cut = next(turn for turn in shown["transcript"] if turn["interrupted"])
    assert (cut["original_message"], cut["message"]) == (STORY, corrected)


async def test_sound_in_the_format_of_telephones(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(
        http,
        "offline: when open -> say We open at nine in the morning.",
        text_only=False,
        first_message="",
        asr={"user_input_audio_format": "ulaw_8000"},
        tts={"agent_output_audio_format": "ulaw_8000"},
    )
    sound = ulaw_from_pcm(resample(await spoken(QUESTION), HEARING_RATE, 8_000))
    async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as socket:
        first = (await socket.begin())["conversation_initiation_metadata_event"]
        assert (first["user_input_audio_format"], first["agent_output_audio_format"]) == ("ulaw_8000", "ulaw_8000")

        async def record() -> None:
            async for beat in beats(CHUNK_SECONDS):
                piece = sound[beat * 800 : (beat + 1) * 800].ljust(800, b"\xff")
                await socket.send(user_audio_chunk=base64.b64encode(piece).decode())

        recording = asyncio.create_task(record())
        heard = (await socket.until("user_transcript"))["user_transcription_event"]["user_transcript"]
        answer = (await socket.until("agent_response"))["agent_response_event"]
        frame = (await socket.until("audio"))["audio_event"]
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
    assert (heard, answer["agent_response"]) == (QUESTION, "We open at nine in the morning.")
    assert frame["event_id"] == answer["event_id"]
    assert voiced_seconds(resample(pcm_from_ulaw(base64.b64decode(frame["audio_base_64"])), 8_000, HEARING_RATE)) > 0
