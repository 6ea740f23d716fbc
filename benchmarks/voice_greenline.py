"""The bot of `voice.py` on Greenline: live sessions, their journal and recording on Postgres, scripted providers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvloop
import voice_script as script
from harness import place

from greenline.agents import service as agents
from greenline.agents.config import ConversationConfig
from greenline.agents.models import AgentDefinition, AgentVersion
from greenline.channels.live.beginning import Beginning
from greenline.channels.live.session import LiveSession
from greenline.channels.live.sessions import LiveSessions
from greenline.channels.webrtc.media import MediaCall
from greenline.clock import SystemClock
from greenline.conversations.events import TurnTimed
from greenline.llm.models import ModelReply, ModelRequest, StreamEvent, TextDelta
from greenline.logs import configure_logging
from greenline.settings import Settings
from greenline.speech.detector import GatedDetector
from greenline.speech.models import (
    Chunk,
    Hint,
    RecognitionOptions,
    RecognitionStream,
    Transcript,
    Voice,
    VoiceDetector,
)
from greenline.store.objects import FolderObjects
from greenline.store.vault import open_vault
from greenline.store.wakeups import Wakeups
from greenline.tools.mcp.toolbox import Mcp

CONFIG = {
    "agent": {"first_message": "", "prompt": {"prompt": "You are Luma of Fern & Field, a plant shop."}},
    "turn": {"turn_timeout": -1, "silence_end_call_timeout": -1},
}
STILL_VOICED = 0.35
"""What the ears of a session take for voice that goes on."""


class Model:
    """Answers after its time, all at once."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The answer."""
        await asyncio.sleep(script.MODEL_SECONDS)
        return ModelReply(request.model, script.ANSWER)

    async def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """The answer in one piece."""
        reply = await self.complete(request)
        yield TextDelta(reply.text)
        yield reply


class ScriptedSpeech:
    """Knows what is said and hums, each after its time."""

    name = provider = "script"
    rate = script.RATE

    def __init__(self) -> None:
        self.seconds = 1.0
        """How long it hums."""

    def recogniser(self, options: RecognitionOptions) -> ScriptedSpeech:
        """Itself."""
        return self

    def synthesiser(self, voice: Voice) -> ScriptedSpeech:
        """Itself."""
        return self

    def detector(self) -> VoiceDetector:
        """The one that a server has without any setting."""
        return GatedDetector()

    async def prepare(self, voice: Voice) -> None:
        """Nothing."""

    def spare(self, voice: Voice, rate: int) -> bytes:
        """Nothing: it never fails."""
        return b""

    async def open(self, options: RecognitionOptions) -> RecognitionStream:
        """Itself."""
        return self

    async def transcribe(self, audio: bytes, mime_type: str, options: RecognitionOptions) -> Transcript:
        """The question."""
        return Transcript(script.QUESTION, len(audio) / 2 / script.RATE)

    def push(self, pcm: bytes) -> None:
        """Nothing is kept."""

    async def finish(self) -> str:
        """The question."""
        await asyncio.sleep(script.RECOGNITION_SECONDS)
        return script.QUESTION

    def drop(self) -> None:
        """Nothing is kept."""

    async def hints(self) -> AsyncIterator[Hint]:
        """None."""
        none: tuple[Hint, ...] = ()
        for hint in none:
            yield hint

    async def say(self, text: str, voice: Voice) -> AsyncIterator[Chunk]:
        """The hum, in pieces of a second."""
        await asyncio.sleep(script.SYNTHESIS_SECONDS)
        pcm = script.tone(self.seconds)
        for at in range(0, len(pcm), script.RATE * 2):
            yield Chunk(pcm[at : at + script.RATE * 2])

    async def aclose(self) -> None:
        """Nothing is held."""


class GreenlineCall:
    """A call that a session answers."""

    def __init__(self, live: LiveSessions, version: AgentVersion) -> None:
        self._live = live
        self._version = version
        self._media = MediaCall(on_pcm=self._hear, on_digit=lambda digit: None)
        self._session: LiveSession | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    async def answer(self, offer: str) -> str:
        """Its description; the session runs from now on."""
        answer = await self._media.answer(offer)
        beginning = Beginning(version=self._version, workspace_id="ws_bench", source="benchmark", method="public")
        self._session = await self._live.begin(beginning, lambda config: self._media.out)
        self._tasks.append(asyncio.create_task(self._start()))
        self._tasks.append(asyncio.create_task(self._session.run()))
        return answer

    async def _start(self) -> None:
        await self._media.start()
        await self._media.connected()
        self._media.accepted()

    def _hear(self, pcm: bytes) -> None:
        if self._session is not None:
            self._session.hear(pcm)

    def figures(self) -> dict[str, Any]:
        """The silence waterfall of each turn."""
        journal = self._session.journal if self._session is not None else ()
        return {"waits": [dict(event.waits) for event in journal if isinstance(event, TurnTimed)]}

    async def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.end("The person hung up.")
        await self._media.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _last_voice(pcm: bytes) -> float:
    """Seconds of ``pcm`` after which the detector hears no voice any more."""
    detector, window = GatedDetector(), 1024
    scores = [detector.score(pcm[at : at + window])[0] for at in range(0, len(pcm) - window + 1, window)]
    voiced = [number for number, score in enumerate(scores) if score >= STILL_VOICED]
    return (voiced[-1] + 1) * window / 2 / script.RATE


async def serve() -> None:
    """Take calls on a database of its own."""
    clock = SystemClock()
    async with place() as where:
        settings = Settings(
            data_dir=where.data_dir,
            end_of_turn_seconds=dict.fromkeys(("patient", "normal", "eager"), script.ENDPOINT_SECONDS),
            barge_in_seconds=script.BARGE_IN_SECONDS,
        )
        definition = AgentDefinition(conversation_config=ConversationConfig.model_validate(CONFIG))
        agent_id = await agents.create(where.pool, clock, "ws_bench", definition)
        version = await agents.live_version(where.pool, "ws_bench", agent_id)
        wakeups, speech = Wakeups(where.dsn), ScriptedSpeech()
        await wakeups.start()
        mcp = Mcp(where.pool, clock, settings)
        live = LiveSessions(
            pool=where.pool,
            wakeups=wakeups,
            vault=open_vault(settings),
            models=Model(),
            mcp=mcp,
            speech=speech,
            objects=FolderObjects(settings.data_dir),
            clock=clock,
            settings=settings,
        )
        live.start()

        def call(options: dict[str, Any]) -> GreenlineCall:
            speech.seconds = float(options["seconds"])
            return GreenlineCall(live, version)

        await script.serve(call)
        await live.stop(5.0)
        await mcp.aclose()
        await wakeups.aclose()


if __name__ == "__main__":
    if sys.argv[1:] == ["--decay"]:
        print(script.mean_decay(sys.stdin.buffer.read(), _last_voice))
    else:
        configure_logging("warning", "console")
        uvloop.run(serve())
