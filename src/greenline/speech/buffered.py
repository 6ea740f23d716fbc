"""A stream for recognisers that take an utterance whole: what is pushed waits for the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from greenline.speech.errors import RecognitionError
from greenline.speech.models import HEARING_RATE, Hint

MAX_UTTERANCE_SECONDS: Final = 600
"""19 MB: a stream that never ends its utterance must not take all memory."""
_MAX_BYTES: Final = MAX_UTTERANCE_SECONDS * HEARING_RATE * 2


class BufferedStream:
    """A `RecognitionStream` over a function from the PCM of an utterance to its text."""

    def __init__(self, provider: str, recognise: Callable[[bytes], Awaitable[str]]) -> None:
        self._provider = provider
        self._recognise = recognise
        self._sound = bytearray()
        self._too_long = False

    @property
    def provider(self) -> str:
        """Who hears."""
        return self._provider

    def push(self, pcm: bytes) -> None:
        """Keep it until the utterance ends."""
        if len(self._sound) + len(pcm) > _MAX_BYTES:
            self._too_long = True
        else:
            self._sound += pcm

    async def finish(self) -> str:
        """Recognise what was kept; nothing was said where nothing was pushed."""
        sound, too_long = bytes(self._sound), self._too_long
        self._forget()
        if too_long:
            raise RecognitionError(self._provider, f"the utterance is longer than {MAX_UTTERANCE_SECONDS} seconds")
        return await self._recognise(sound) if sound else ""

    async def hints(self) -> AsyncIterator[Hint]:
        """Nothing is known before the end."""
        none: tuple[Hint, ...] = ()
        for hint in none:
            yield hint

    async def aclose(self) -> None:
        """Nothing is held open."""
        self._forget()

    def _forget(self) -> None:
        self._sound = bytearray()
        self._too_long = False
