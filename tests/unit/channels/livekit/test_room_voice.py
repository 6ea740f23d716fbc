"""The agent's voice before it is on a track: how far ahead it runs, and what is taken back."""

from __future__ import annotations

import asyncio

from greenline.channels.livekit.voice import PIECE_BYTES, RATE, RoomVoice
from greenline.channels.socket.outgoing import Outgoing
from greenline.speech.models import Alignment
from support.wait import eventually

HI = Alignment(("H", "i"), (0, 100), (100, 100))


class FakeTrack:
    """Holds one piece, and takes the next when `free` is set."""

    def __init__(self) -> None:
        self.queued = 0.0
        self.played: list[bytes] = []
        self.free = asyncio.Event()

    async def play(self, pcm: bytes) -> None:
        self.played.append(pcm)
        self.queued = len(pcm) / 2 / RATE
        await self.free.wait()

    def clear(self) -> None:
        self.queued = 0.0


async def test_speech_is_played_in_pieces_and_in_order() -> None:
    track = FakeTrack()
    track.free.set()
    voice = RoomVoice(track, Outgoing(), shows=True)
    playing = asyncio.create_task(voice.run())
    voice.write(b"a" * (PIECE_BYTES + 2), 1)
    voice.write(b"b" * 10, 1)
    await eventually(lambda: len(track.played) == 3)
    voice.write(b"c" * 10, 2)
    await eventually(lambda: len(track.played) == 4)
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    assert [(piece[:1], len(piece)) for piece in track.played] == [
        (b"a", PIECE_BYTES),
        (b"a", 2),
        (b"b", 10),
        (b"c", 10),
    ]


async def test_what_was_not_played_is_counted_and_taken_back() -> None:
    track, outgoing = FakeTrack(), Outgoing()
    voice = RoomVoice(track, outgoing, shows=True)
    playing = asyncio.create_task(voice.run())
    voice.write(bytes(RATE * 2), 1, HI)
    await eventually(lambda: track.played)
    assert voice.queued == 1.0
    assert outgoing.waiting_bytes
    assert voice.clear() == 1.0
    assert voice.queued == 0.0
    assert not outgoing.waiting_bytes
    track.free.set()
    voice.write(b"next", 2)
    await eventually(lambda: track.played[-1] == b"next")
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)


async def test_alignment_is_kept_from_clients_that_get_no_audio_events() -> None:
    outgoing = Outgoing()
    RoomVoice(FakeTrack(), outgoing, shows=False).write(b"1234", 1, HI)
    assert not outgoing.waiting_bytes
