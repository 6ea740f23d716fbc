"""What the agent says aloud, in the time that it takes to be heard."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from greenline.channels.live.mouth import AHEAD_SECONDS, UNFINISHED_SECONDS, Utterance
from greenline.channels.socket.outgoing import MAX_BYTES, Outgoing
from greenline.channels.socket.voice import SocketVoice
from greenline.speech.models import Alignment, Chunk, Voice
from support.spoken import SECONDS_A_WORD, SpokenSpeech
from support.virtual_time import in_virtual_time, virtual_loop

SENTENCE = f"{'tea ' * 49}tea. "
SECONDS = 50 * SECONDS_A_WORD


@dataclass
class Watched(SocketVoice):
    """The voice on a socket whose client reads nothing, and how far ahead of its playback it came."""

    outgoing: Outgoing = field(default_factory=Outgoing)
    most: float = 0.0
    silent: float = 0.0
    """The longest time in which nothing was to be heard."""
    ends: float = 0.0

    def __post_init__(self) -> None:
        super().__init__(self.outgoing, rate=48_000, encode=bytes, now=virtual_loop().time)

    def write(self, pcm: bytes, event_id: int, alignment: Alignment | None = None) -> None:
        self.silent = max(self.silent, virtual_loop().time() - self.ends)
        super().write(pcm, event_id, alignment)
        self.ends = virtual_loop().time() + self.queued
        self.most = max(self.most, self.queued)


@in_virtual_time
async def test_a_long_answer_is_spoken_as_it_is_heard() -> None:
    loop, out, speech = virtual_loop(), Watched(), SpokenSpeech()
    utterance = Utterance(1, out, speech, Voice(), {}, seconds=12.0, now=loop.time)
    for _ in range(10):
        utterance.feed(SENTENCE)
    utterance.finish()
    await utterance.spoken()
    assert speech.said == [SENTENCE.strip()] * 10
    assert loop.time() == pytest.approx(10 * SECONDS - AHEAD_SECONDS - SECONDS, abs=SECONDS)
    assert out.most < AHEAD_SECONDS + SECONDS + 1.0
    assert not utterance.failure


class Spelling(SpokenSpeech):
    """A voice that tells the time of each character, a word at once."""

    async def say(self, text: str, voice: Voice) -> AsyncIterator[Chunk]:
        for word in re.findall(r"\S+\s*", text):
            times = range(0, 10 * len(word), 10)
            yield Chunk(bytes(480 * len(word)), Alignment(tuple(word), times, [10] * len(word)), self.name)


@in_virtual_time
async def test_the_characters_of_an_answer_are_its_text() -> None:
    """Of which clients make captions."""
    out = Watched()
    utterance = Utterance(1, out, Spelling(), Voice(), {}, seconds=12.0, now=virtual_loop().time)
    utterance.feed("We have tea. It is green!\nHow much?")
    utterance.pause()
    utterance.feed("\u4e00\u4e2a\u3002\u4e24\u4e2a\u3002")
    utterance.finish()
    await utterance.spoken()
    frames: list[str] = []

    async def send(frame: str) -> None:
        frames.append(frame)

    await out.outgoing.drain(send)
    told = [json.loads(frame)["audio_event"]["alignment"] for frame in frames if '"alignment"' in frame]
    assert "".join(char for one in told for char in one["chars"]) == (
        "We have tea. It is green! How much? \u4e00\u4e2a\u3002\u4e24\u4e2a\u3002"
    )
    assert all(len(set(map(len, one.values()))) == 1 for one in told)


@in_virtual_time
async def test_words_of_a_slow_model_are_spoken_before_their_sentence_is_whole() -> None:
    """A word every 2.5 s is no stall, but a person took the silence until its end for a dead line."""
    loop, out, speech = virtual_loop(), Watched(), SpokenSpeech()
    utterance = Utterance(1, out, speech, Voice(), {}, seconds=12.0, now=loop.time)
    text = "It will arrive on Monday at noon, I think. "
    for word in re.findall(r"\S+\s+", text):
        utterance.feed(word)
        await asyncio.sleep(2.5)
    utterance.finish()
    await utterance.spoken()
    assert 0 < out.silent < 2 * UNFINISHED_SECONDS
    assert " ".join(speech.said) == text.strip()
    assert utterance.said.heard() == [text.strip()]


@in_virtual_time
async def test_a_sentence_that_goes_on_in_time_is_spoken_whole() -> None:
    loop, speech = virtual_loop(), SpokenSpeech()
    utterance = Utterance(1, Watched(), speech, Voice(), {}, seconds=12.0, now=loop.time)
    await asyncio.sleep(0.9 * UNFINISHED_SECONDS)  # until the first token
    for word in ("It ", "will ", "arrive ", "on ", "Monday. ", "Any", "thing else?"):
        utterance.feed(word)
        await asyncio.sleep(0.15 * UNFINISHED_SECONDS)
    utterance.finish()
    await utterance.spoken()
    assert speech.said == ["It will arrive on Monday.", "Anything else?"]


@in_virtual_time
async def test_words_may_wait_while_others_sound() -> None:
    loop, speech = virtual_loop(), SpokenSpeech()
    utterance = Utterance(1, Watched(), speech, Voice(), {}, seconds=12.0, now=loop.time)
    utterance.feed(SENTENCE)
    utterance.feed("It will arrive ")
    await asyncio.sleep(SECONDS - 0.5)
    utterance.feed("on Monday.")
    utterance.finish()
    await utterance.spoken()
    assert speech.said == [SENTENCE.strip(), "It will arrive on Monday."]


@in_virtual_time
async def test_what_comes_ahead_of_its_playback_fits_into_what_may_wait() -> None:
    """A client that reads as fast as it plays is no slow one, at any rate."""
    out = Watched()
    out.write(bytes(int((AHEAD_SECONDS + 20.0) * 48_000) * 2), 1)
    assert out.outgoing.waiting_bytes < MAX_BYTES * 3 / 4
