"""The recording that callers hear while they wait: uploaded, played to everybody, taken away with its agent."""

from __future__ import annotations

from typing import Any

import elevenlabs.types as sdk
import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs

from greenline.speech.wav import decode_wav, encode_wav
from support.server import RunningServer
from support.shapes import assert_complete
from support.voice import tone

TUNE = encode_wav(tone(1.5), 16_000)


async def create(client: AsyncElevenLabs, **platform: Any) -> str:
    made = await client.conversational_ai.agents.create(conversation_config={}, platform_settings=platform)
    agent_id: str = made.agent_id
    return agent_id


async def queueing(http: httpx2.AsyncClient, agent_id: str) -> dict[str, Any]:
    shown = (await http.get(f"/v1/convai/agents/{agent_id}")).json()
    found: dict[str, Any] = shown["platform_settings"]["queueing_config"]
    return found


async def test_a_recording_is_set_kept_and_taken_away(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, server: RunningServer
) -> None:
    hold_audio = client.conversational_ai.agents.hold_audio
    agent_id = await create(client, queueing_config={"wait_timeout_seconds": 60})

    made = await hold_audio.create(agent_id, hold_audio_file=("../tune.wav", TUNE, "audio/wav"))

    recording = made.hold_audio
    assert (made.agent_id, recording.duration_secs, recording.size_bytes) == (agent_id, 1.5, len(TUNE))
    assert_complete(sdk.AgentHoldAudioConfig, recording.dict())
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as visitor:
        heard = await visitor.get(recording.audio_url)
    assert (heard.status_code, heard.headers["content-type"]) == (200, "audio/wav")
    assert decode_wav(heard.content) == tone(1.5)
    assert await queueing(http, agent_id) == {
        "enabled": True,
        "wait_timeout_seconds": 60,
        "hold_audio": recording.dict(),
    }
    others = {"wait_timeout_seconds": 90, "hold_audio": {**recording.dict(), "audio_path": "file_of_somebody"}}
    changes = {"platform_settings": {"queueing_config": others}}
    (await http.patch(f"/v1/convai/agents/{agent_id}", json=changes)).raise_for_status()
    kept = await queueing(http, agent_id)
    assert (kept["wait_timeout_seconds"], kept["hold_audio"]) == (90, recording.dict()), "only an upload sets it"
    assert (await queueing(http, await create(client, queueing_config=others)))["hold_audio"] is None

    assert (await hold_audio.delete(agent_id)).agent_id == agent_id
    assert (await queueing(http, agent_id))["hold_audio"] is None


async def test_a_recording_goes_with_the_last_agent_that_plays_it(
    client: AsyncElevenLabs, server: RunningServer
) -> None:
    agents = client.conversational_ai.agents
    original = await create(client)
    recording = (await agents.hold_audio.create(original, hold_audio_file=("tune.wav", TUNE, "audio/wav"))).hold_audio
    copy = (await agents.duplicate(original)).agent_id
    stored = server.services.settings.data_dir / "files"
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as visitor:
        await agents.delete(original)
        assert (await visitor.get(recording.audio_url)).status_code == 200
        await agents.delete(copy)
        assert (await visitor.get(recording.audio_url)).status_code == 404
    assert list(stored.glob("*/hold_*")) == []


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"words", 400, "not a sound file"),
        (b"", 400, "the file is empty"),
        (encode_wav(tone(0.5), 16_000), 400, "one second"),
        (encode_wav(tone(121.0), 8_000), 400, "two minutes"),
        (bytes(10_000_001), 413, "10 MB"),
    ],
)
async def test_what_nobody_wants_to_hear_is_refused(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, data: bytes, status: int, words: str
) -> None:
    path = f"/v1/convai/agents/{await create(client)}/hold-audio"
    answer = await http.post(path, files={"hold_audio_file": ("a.wav", data)})
    assert answer.status_code == status
    assert words in answer.json()["detail"]["message"]


async def test_nobody_reads_other_files_there(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    path = f"/v1/convai/agents/{await create(client)}/hold-audio"
    for file_id in ("file_01m846c4w46xwwbeggda5qmmj5", "hold_01m846c4w46xwwbeggda5qmmj5", "hold_..%2f..%2fsecret"):
        assert (await http.get(f"{path}/{file_id}")).status_code == 404, file_id
    missing = "/v1/convai/agents/agent_none/hold-audio"
    assert (await http.post(missing, files={"hold_audio_file": ("a.wav", TUNE)})).status_code == 404
    assert (await http.delete(missing)).status_code == 404
