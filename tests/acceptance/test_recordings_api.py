"""The recording of a conversation as its readers get it: the official SDK, and a player that jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from greenline.conversations.events import Ended
from greenline.conversations.recordings import keep_recording
from support.journal import BEGIN, projection, started, write
from support.server import RunningServer

if TYPE_CHECKING:
    from elevenlabs.client import AsyncElevenLabs

MP3 = bytes(range(256)) * 2000
AUDIO = "/v1/convai/conversations/conv_1/audio"


@pytest.fixture(autouse=True)
async def recorded(server: RunningServer) -> None:
    services = server.services
    workspace = await services.pool.fetchval("select id from workspace")
    row = projection(workspace_id=workspace, text_only=False)
    await write(services.pool, row, [(0, started(row)), (4.0, Ended(reason="Call ended"))])
    await keep_recording(
        services.pool, services.objects, workspace, "conv_1", MP3, seconds=3.5, has_user=True, has_agent=True,
        now=BEGIN,
    )  # fmt: skip


async def test_the_sdk_hears_it_and_is_told_of_it(client: AsyncElevenLabs) -> None:
    conversations = client.conversational_ai.conversations
    found = await conversations.get("conv_1")
    assert (found.has_audio, found.has_user_audio, found.has_response_audio) == (True, True, True)
    assert b"".join([piece async for piece in conversations.audio.get("conv_1")]) == MP3


async def test_a_player_jumps_into_it(http: httpx2.AsyncClient) -> None:
    whole = await http.get(AUDIO)
    assert (whole.status_code, whole.headers["content-type"], whole.content) == (200, "audio/mpeg", MP3)
    part = await http.get(AUDIO, headers={"range": "bytes=300000-"})
    assert (part.status_code, part.content) == (206, MP3[300_000:])
    assert part.headers["content-range"] == f"bytes 300000-{len(MP3) - 1}/{len(MP3)}"
    assert (await http.get(AUDIO, headers={"range": f"bytes={len(MP3)}-"})).status_code == 416


async def test_bytes_that_are_gone_are_not_found(server: RunningServer, http: httpx2.AsyncClient) -> None:
    key = await server.services.pool.fetchval("select object_key from conversation_recording")
    await server.services.objects.delete(key)
    answer = await http.get(AUDIO)
    assert (answer.status_code, answer.json()["detail"]["status"]) == (404, "audio_not_found")


async def test_it_goes_with_the_conversation(server: RunningServer, http: httpx2.AsyncClient) -> None:
    assert (await http.delete("/v1/convai/conversations/conv_1")).status_code == 200
    assert (await http.get(AUDIO)).status_code == 404
    recordings = server.services.settings.data_dir / "recordings"
    assert [path for path in recordings.rglob("*") if path.is_file()] == []
