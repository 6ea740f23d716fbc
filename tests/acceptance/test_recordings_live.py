"""A conversation that was really spoken: its recording, the silence before the answer, what speech cost."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator

import av
import httpx2
import numpy as np
import pytest

from greenline.clock import SystemClock
from greenline.settings import Settings
from greenline.speech.models import HEARING_RATE
from support.embedded_voice import spoken, understood
from support.server import RunningServer, run_server
from support.socket_agents import finished, make_agent
from support.sockets import client
from support.wait import until

FRAME = HEARING_RATE // 10 * 2
QUESTION, ANSWER = "When are you open?", "We open at nine in the morning."


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[RunningServer]:
    """A server whose clock runs: sound has a time of its own."""
    async with run_server(settings.model_copy(update=understood(QUESTION)), SystemClock()) as running:
        yield running


async def converse(server: RunningServer, agent_id: str) -> str:
    """Ask by voice, hear the answer, hang up; the id of the conversation."""
    sound = await spoken(QUESTION)
    async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as socket:
        first = (await socket.begin())["conversation_initiation_metadata_event"]

        async def speak() -> None:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            for beat in range(10_000):
                await asyncio.sleep(begun + beat / 10 - loop.time())
                piece = sound[beat * FRAME : (beat + 1) * FRAME].ljust(FRAME, b"\0")
                await socket.send(user_audio_chunk=base64.b64encode(piece).decode())

        microphone = asyncio.create_task(speak())
        await socket.until("agent_response")
        await socket.until("agent_response_complete")
        microphone.cancel()
        await asyncio.gather(microphone, return_exceptions=True)
    return str(first["conversation_id"])


def voiced(side: np.ndarray) -> tuple[float, float]:
    """First and last second in which there is sound."""
    loud = np.flatnonzero(np.abs(side) > 0.02)
    return float(loud[0]) / HEARING_RATE, float(loud[-1]) / HEARING_RATE


async def test_what_was_said_can_be_heard_again(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http, f"offline: when open -> say {ANSWER}", text_only=False, first_message="")
    conversation_id = await converse(server, agent_id)
    path = f"/v1/convai/conversations/{conversation_id}"

    async def audio() -> bytes | None:
        answer = await http.get(f"{path}/audio")
        return answer.content if answer.status_code == 200 else None

    mp3 = await until(audio)
    with av.open(io.BytesIO(mp3), "r") as file:
        sound = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
    (asked, finished_asking), (answered, _) = voiced(sound[0]), voiced(sound[1])
    assert asked < finished_asking < answered

    shown = await finished(http, conversation_id)
    assert (shown["has_audio"], shown["has_user_audio"], shown["has_response_audio"]) == (True, True, True)
    turn = next(turn for turn in shown["transcript"] if turn["role"] == "agent")
    assert (turn["message"], turn["source_medium"]) == (ANSWER, "audio")
    waits = turn["silence"]["waits"]
    assert next(iter(waits)) == "end_of_turn"
    assert turn["silence"]["total_ms"] == pytest.approx(sum(waits.values()), abs=1)
    # The agent counts from when the last sound came; on a busy machine that is later than it was said.
    assert answered - finished_asking > turn["silence"]["total_ms"] / 1000 - 0.3
    charging = shown["metadata"]["charging"]
    assert charging["speech_price"] == 0
    assert charging["tts_usage"]["total_characters"] == len(ANSWER)
    assert charging["asr_usage"]["total_audio_input_seconds"] > 1

    assert (await http.delete(path)).status_code == 200
    assert (await http.get(f"{path}/audio")).status_code == 404


async def test_an_agent_that_records_no_voice_has_no_recording(
    server: RunningServer, http: httpx2.AsyncClient
) -> None:
    agent_id = await make_agent(
        http,
        f"offline: when open -> say {ANSWER}",
        text_only=False,
        first_message="",
        platform={"privacy": {"record_voice": False}},
    )
    conversation_id = await converse(server, agent_id)
    assert (await finished(http, conversation_id))["has_audio"] is False
    assert not (server.services.settings.data_dir / "spool").exists()
    assert not (server.services.settings.data_dir / "recordings").exists()
