"""Sound that waited to be heard, and takes a provider longer than sound that comes as it is spoken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import pytest

from greenline.speech.deepgram import FINALIZE_SECONDS, NovaStream
from greenline.speech.errors import RecognitionError
from greenline.speech.flux import WAIT_SECONDS, FluxStream
from greenline.speech.models import HEARING_RATE
from greenline.speech.socket import Frame, SocketStream, SpeechSocket
from support.virtual_time import in_virtual_time

WORDS = ("where", "is", "my", "order", "it", "is", "late")
"""One for each second."""


class Slow:
    """The wire of a provider that takes ``pace`` seconds for a second of sound, and hears no more than ``most``."""

    kept_alive = 0

    def __init__(self, told: Callable[[int], Mapping[str, Any]], pace: float, most: int) -> None:
        self._told = told
        self._pace = pace
        self._most = most
        self._heard = 0
        self._sound = 0
        self._more = asyncio.Event()

    def send(self, frame: Frame) -> None:
        """Sound, or an order that is obeyed once all sound before it is heard."""
        if isinstance(frame, bytes):
            self._sound += len(frame)
        self._more.set()

    async def messages(self) -> AsyncIterator[Mapping[str, Any]]:
        """One for each second."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._heard < min(self._sound // (2 * HEARING_RATE), self._most):
                await asyncio.sleep(self._pace)
                self._heard += 1
                yield self._told(self._heard)

    async def aclose(self) -> None:
        """Nothing is held."""


def flux(seconds: int) -> Mapping[str, Any]:
    """What Flux tells after so much sound; the last word ends the turn."""
    return {
        "type": "TurnInfo",
        "event": "EndOfTurn" if seconds == len(WORDS) else "Update",
        "turn_index": 0,
        "audio_window_end": seconds,
        "transcript": " ".join(WORDS[:seconds]),
        "end_of_turn_confidence": 0.5,
    }


def nova(seconds: int) -> Mapping[str, Any]:
    """What Nova tells after so much sound; the last result is final."""
    text = {"alternatives": [{"transcript": " ".join(WORDS[:seconds])}]}
    is_final = seconds == len(WORDS)
    return {"type": "Results", "start": 0, "duration": seconds, "is_final": is_final, "channel": text}


PROVIDERS = pytest.mark.parametrize(
    ("kind", "told", "pace"), [(FluxStream, flux, 0.9 * WAIT_SECONDS), (NovaStream, nova, 0.9 * FINALIZE_SECONDS)]
)


@PROVIDERS
@in_virtual_time
async def test_who_hears_on_is_waited_for(
    kind: type[FluxStream | NovaStream], told: Callable[[int], Mapping[str, Any]], pace: float
) -> None:
    stream = kind("slow", cast("SpeechSocket", Slow(told, pace, len(WORDS))))
    stream.push(bytes(len(WORDS) * 2 * HEARING_RATE))
    assert await stream.finish() == " ".join(WORDS)
    await SocketStream.aclose(stream)


@PROVIDERS
@in_virtual_time
async def test_who_stops_in_the_middle_has_failed(
    kind: type[FluxStream | NovaStream], told: Callable[[int], Mapping[str, Any]], pace: float
) -> None:
    stream = kind("slow", cast("SpeechSocket", Slow(told, pace, len(WORDS) - 2)))
    stream.push(bytes(len(WORDS) * 2 * HEARING_RATE))
    with pytest.raises(RecognitionError, match=r"no (update|result)"):
        await stream.finish()
    await SocketStream.aclose(stream)
