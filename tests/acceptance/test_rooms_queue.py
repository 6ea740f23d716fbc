"""Who waits for a busy agent in a room hears on its track that the line is not dead, until it is their turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import numpy as np
import pytest

from greenline.channels.socket.hosting import LEFT_QUEUE
from greenline.clock import SystemClock
from greenline.settings import Settings
from greenline.speech.wav import encode_wav
from support.livekit_real import BOTH, LiveKit, with_livekit
from support.livekit_server import LiveKitServer
from support.room_person import HEARD_RATE, RoomPerson, person_in
from support.server import RunningServer, run_server
from support.socket_agents import finished, make_agent
from support.sockets import client
from support.voice import tone, voiced_seconds
from support.wait import eventually

PITCH = 1_000.0
TUNE = encode_wav(tone(1.5, frequency=PITCH), 16_000)
BUSY: dict[str, Any] = {"call_limits": {"agent_concurrency_limit": 1}}


@pytest.fixture
async def server(settings: Settings, livekit: LiveKit) -> AsyncIterator[RunningServer]:
    """A server whose clock runs: sound has a time of its own."""
    async with run_server(with_livekit(settings, livekit), SystemClock()) as running:
        yield running


async def token(http: httpx2.AsyncClient, agent_id: str) -> str:
    given = await http.get("/v1/convai/conversation/token", params={"agent_id": agent_id})
    return str(given.json()["token"])


def pitched_seconds(pcm: bytes, pitch: float = PITCH) -> float:
    """How much of the sound is a tone of ``pitch``, in steps of 50 ms."""
    step = HEARD_RATE // 20
    samples = np.frombuffer(pcm, "<i2").astype(float)
    windows = samples[: len(samples) // step * step].reshape(-1, step)
    power = np.abs(np.fft.rfft(windows * np.hanning(step))) ** 2
    near = round(pitch / HEARD_RATE * step)
    share = power[:, near - 1 : near + 2].sum(axis=1) / np.maximum(power.sum(axis=1), 1.0)
    return float(np.count_nonzero((share > 0.9) & (power.sum(axis=1) > 1e10))) / 20


def statuses(person: RoomPerson) -> list[str]:
    return [it["queue_status_event"]["status"] for it in person.seen if it["type"] == "queue_status"]


@BOTH
async def test_the_recording_of_the_agent_is_heard_until_one_is_admitted(
    server: RunningServer, http: httpx2.AsyncClient, livekit: LiveKit
) -> None:
    agent_id = await make_agent(http, first_message="Hello, this is the shop.", text_only=False, platform=BUSY)
    files = {"hold_audio_file": ("tune.wav", TUNE, "audio/wav")}
    (await http.post(f"/v1/convai/agents/{agent_id}/hold-audio", files=files)).raise_for_status()
    async with person_in(livekit.url, await token(http, agent_id)) as waiting:
        async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as busy:
            await busy.begin()
            first = await waiting.begin()
            await waiting.until("queue_status", lambda it: it["queue_status_event"]["status"] == "waiting")
            await eventually(lambda: pitched_seconds(bytes(waiting.heard)) > 2.5)  # once and again
            assert not [it for it in waiting.seen if it["type"] == "audio"], "sound goes on the track alone"
        await waiting.until("queue_status", lambda it: it["queue_status_event"]["status"] == "admitted")
        await eventually(lambda: pitched_seconds(bytes(waiting.heard[-2 * HEARD_RATE :])) == 0)
        admitted = len(waiting.heard)
        await eventually(lambda: voiced_seconds(bytes(waiting.heard[admitted:])) > 0.3)
        await waiting.until("agent_response_complete")
        assert statuses(waiting) == ["waiting", "admitted"]
    conversation_id = first["conversation_initiation_metadata_event"]["conversation_id"]
    shown = await finished(http, conversation_id)
    assert [turn["message"] for turn in shown["transcript"]] == ["Hello, this is the shop."]


async def test_without_a_recording_a_tone_is_heard_and_who_leaves_hears_no_more(
    server: RunningServer, http: httpx2.AsyncClient, livekit: LiveKitServer
) -> None:
    agent_id = await make_agent(http, text_only=False, platform=BUSY)
    async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as busy:
        await busy.begin()
        async with person_in(livekit.url, await token(http, agent_id)) as waiting:
            first = await waiting.begin()
            await eventually(lambda: pitched_seconds(bytes(waiting.heard), 440.0) > 0.1)
            await eventually(lambda: pitched_seconds(bytes(waiting.heard), 554.4) > 0.1)
        await eventually(lambda: not livekit.rooms)
    conversation_id = first["conversation_initiation_metadata_event"]["conversation_id"]
    shown = await finished(http, conversation_id)
    metadata = shown["metadata"]
    assert (shown["status"], shown["transcript"], metadata["call_duration_secs"]) == ("failed", [], 0)
    assert (metadata["accepted_time_unix_secs"], metadata["termination_reason"]) == (None, LEFT_QUEUE)
    assert metadata["queue_wait_secs"] > 0
