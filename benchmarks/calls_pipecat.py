"""The bot of `calls.py` on Pipecat: SmallWebRTC in the smallest pipeline, always speaking, always listening."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
import voice_script as script
from loguru import logger
from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner

STORY_SECONDS = 2.0


class Listener(FrameProcessor):
    """Between the transport's two ends."""

    def __init__(self) -> None:
        super().__init__()
        self.onsets = script.Onsets()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Hear what comes in, pass on the rest."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self.onsets.hear(frame.audio)
        else:
            await self.push_frame(frame, direction)


class PipecatCall:
    """A call with sound both ways."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._listener = Listener()
        self._connection = SmallWebRTCConnection()
        self._worker: PipelineWorker | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def answer(self, offer: str) -> str:
        """Its description; the pipeline runs from now on."""
        await self._connection.initialize(sdp=offer, type="offer")
        params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        transport = SmallWebRTCTransport(webrtc_connection=self._connection, params=params)
        pipeline = Pipeline([transport.input(), self._listener, transport.output()])
        rates = PipelineParams(audio_in_sample_rate=script.RATE, audio_out_sample_rate=script.RATE)
        self._worker = PipelineWorker(pipeline, params=rates, enable_rtvi=False, idle_timeout_secs=None)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        self._tasks.append(asyncio.create_task(runner.run()))
        self._tasks.append(asyncio.create_task(self._speak(self._worker)))
        description = self._connection.get_answer()
        assert description is not None
        return str(description["sdp"])

    async def _speak(self, worker: PipelineWorker) -> None:
        await worker.queue_frame(OutputAudioRawFrame(script.story(), script.RATE, 1))  # one more than is needed
        while True:
            await worker.queue_frame(OutputAudioRawFrame(script.story(), script.RATE, 1))
            await asyncio.sleep(STORY_SECONDS)

    def figures(self) -> dict[str, Any]:
        """When it heard sounds begin."""
        return {"onsets": self._listener.onsets.times}

    async def close(self) -> None:
        """End the pipeline."""
        if self._worker is not None:
            running, speaking = self._tasks
            speaking.cancel()
            await self._worker.cancel()
            await asyncio.gather(running, speaking, return_exceptions=True)
        await self._connection.disconnect()


if __name__ == "__main__":
    logger.remove()
    script.story()
    uvloop.run(script.serve(PipecatCall))
