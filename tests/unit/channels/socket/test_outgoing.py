from __future__ import annotations

import asyncio
import json

from greenline.channels.socket.outgoing import Outgoing
from greenline.channels.socket.voice import SocketVoice
from support.wait import eventually


async def test_frames_go_out_in_order() -> None:
    outgoing, sent = Outgoing(), []

    async def send(text: str) -> None:
        sent.append(json.loads(text)["n"])

    task = asyncio.create_task(outgoing.run(send))
    for number in range(5):
        outgoing.put({"n": number})
    await eventually(lambda: len(sent) == 5)
    assert sent == [0, 1, 2, 3, 4]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_client_that_does_not_read_costs_bounded_memory() -> None:
    outgoing = Outgoing(max_bytes=1000)
    for _ in range(1000):
        outgoing.put({"text": "x" * 100})
    assert outgoing.overflowed.is_set()
    assert outgoing.waiting_bytes <= 1000


async def test_voice_plays_in_real_time_and_stops_at_once() -> None:
    now = 100.0
    outgoing = Outgoing()
    voice = SocketVoice(outgoing, rate=8000, encode=lambda pcm: pcm, now=lambda: now)
    voice.write(b"\x00" * 16_000, 1)
    voice.write(b"\x00" * 16_000, 1)
    assert voice.queued == 2.0
    now += 0.5
    assert voice.queued == 1.5
    assert voice.clear() == 1.5
    assert voice.queued == 0.0
    assert outgoing.waiting_bytes == 0
    now += 10
    voice.write(b"\x00" * 8_000, 2)
    assert voice.queued == 0.5


async def test_audio_is_taken_back_and_words_are_not() -> None:
    outgoing, sent = Outgoing(), []

    async def send(text: str) -> None:
        sent.append(json.loads(text))

    outgoing.put({"type": "agent_response"})
    outgoing.put({"type": "audio"}, audio=True)
    outgoing.drop_audio()
    outgoing.put({"type": "interruption"})
    task = asyncio.create_task(outgoing.run(send))
    await eventually(lambda: len(sent) == 2)
    assert [frame["type"] for frame in sent] == ["agent_response", "interruption"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_inaudible_voice_keeps_its_time() -> None:
    outgoing = Outgoing()
    voice = SocketVoice(outgoing, rate=8000, encode=lambda pcm: pcm, now=lambda: 0.0, audible=False)
    voice.write(b"\x00" * 16_000, 1)
    assert voice.queued == 1.0
    assert outgoing.waiting_bytes == 0
