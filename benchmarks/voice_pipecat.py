"""The bot of `voice.py` on Pipecat: SmallWebRTC, Silero, and the script as its services.

Runs in the environment that `voice_bots.py` makes. The model is a processor in the place of the LLM service.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Any

import uvloop
import voice_script as script
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams, VADState
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner


class Recognition(SegmentedSTTService):
    """Knows what is said, after its time."""

    def __init__(self) -> None:
        settings = STTSettings(model="script", language=None)
        super().__init__(sample_rate=script.RATE, settings=settings, ttfs_p99_latency=script.RECOGNITION_SECONDS)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """The question."""
        await asyncio.sleep(script.RECOGNITION_SECONDS)
        yield TranscriptionFrame(script.QUESTION, "", time_now_iso8601())


class Model(FrameProcessor):
    """Answers after its time, all at once."""

    def __init__(self) -> None:
        super().__init__()
        self._thinking: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Begin with a context, stop with an interruption."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame) and self._thinking is not None:
            await self.cancel_task(self._thinking)
            self._thinking = None
        if isinstance(frame, LLMContextFrame):
            self._thinking = self.create_task(self._answer())
        else:
            await self.push_frame(frame, direction)

    async def _answer(self) -> None:
        await self.push_frame(LLMFullResponseStartFrame())
        await asyncio.sleep(script.MODEL_SECONDS)
        await self.push_frame(LLMTextFrame(script.ANSWER))
        await self.push_frame(LLMFullResponseEndFrame())
        self._thinking = None


class Synthesis(TTSService):
    """Hums, after its time."""

    def __init__(self, seconds: float) -> None:
        settings = TTSSettings(model="script", voice="script", language=None)
        super().__init__(sample_rate=script.RATE, settings=settings, push_start_frame=True, push_stop_frames=True)
        self._pcm = script.tone(seconds)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """The hum, in pieces of a second."""
        await asyncio.sleep(script.SYNTHESIS_SECONDS)
        for at in range(0, len(self._pcm), script.RATE * 2):
            piece = self._pcm[at : at + script.RATE * 2]
            yield TTSAudioRawFrame(piece, script.RATE, 1, context_id=context_id)


class PipecatCall:
    """A call that a bot answers."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._seconds = float(options["seconds"])
        self._connection = SmallWebRTCConnection()
        self._worker: PipelineWorker | None = None
        self._running: asyncio.Task[None] | None = None

    async def answer(self, offer: str) -> str:
        """Its description; the pipeline runs from now on."""
        await self._connection.initialize(sdp=offer, type="offer")
        params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        transport = SmallWebRTCTransport(webrtc_connection=self._connection, params=params)
        patience = VADParams(start_secs=script.BARGE_IN_SECONDS, stop_secs=script.ENDPOINT_SECONDS)
        stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0)
        user = LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(params=patience), user_turn_strategies=UserTurnStrategies(stop=[stop])
        )
        aggregators = LLMContextAggregatorPair(LLMContext(), user_params=user)
        parts = [
            transport.input(),
            Recognition(),
            aggregators.user(),
            Model(),
            Synthesis(self._seconds),
            transport.output(),
            aggregators.assistant(),
        ]
        rates = PipelineParams(audio_in_sample_rate=script.RATE, audio_out_sample_rate=script.RATE)
        self._worker = PipelineWorker(Pipeline(parts), params=rates, enable_rtvi=False, idle_timeout_secs=None)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        self._running = asyncio.create_task(runner.run())
        description = self._connection.get_answer()
        assert description is not None
        return str(description["sdp"])

    def figures(self) -> dict[str, Any]:
        """Nothing of its own."""
        return {}

    async def close(self) -> None:
        """End the pipeline."""
        if self._worker is not None and self._running is not None:
            await self._worker.cancel()
            await self._running
        await self._connection.disconnect()


def _last_voice(pcm: bytes) -> float:
    """Seconds of ``pcm`` after which Pipecat's use of Silero hears no voice any more."""
    patience = VADParams(start_secs=script.BARGE_IN_SECONDS, stop_secs=script.ENDPOINT_SECONDS)
    analyzer = SileroVADAnalyzer(params=patience)
    analyzer.set_sample_rate(script.RATE)
    window, last = 1024, 0.0
    for at in range(0, len(pcm) - window + 1, window):
        if analyzer._run_analyzer(pcm[at : at + window]) is VADState.SPEAKING:
            last = (at + window) / 2 / script.RATE
    return last


if __name__ == "__main__":
    logger.remove()
    if sys.argv[1:] == ["--decay"]:
        print(script.mean_decay(sys.stdin.buffer.read(), _last_voice))
    else:
        uvloop.run(script.serve(PipecatCall))
