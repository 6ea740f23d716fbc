"""Recognition that may be spoken to before it is open, and that is opened again when that failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import structlog

from greenline.speech.errors import RecognitionError, SpeechError
from greenline.speech.models import HEARING_RATE, Hint, RecognitionStream

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
MAX_PAUSE_SECONDS: Final = 15.0
"""Between attempts to open; a provider that is back is used within that time."""
MOST_WAITING_BYTES: Final = 60 * HEARING_RATE * 2
"""A minute of speech: nobody speaks longer into a line on which nobody answers."""


class OpeningStream:
    """A `RecognitionStream`: what is pushed before ``open_stream`` has come to its end is heard then."""

    def __init__(
        self, open_stream: Callable[[], Awaitable[RecognitionStream]], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._open_stream = open_stream
        self._sleep = sleep
        self._stream: RecognitionStream | None = None
        self._error: Exception | None = None
        """Why it is not open, between two attempts."""
        self._settled = asyncio.Event()
        """Whether an attempt has come to its end, and no other is under way."""
        self._opened = asyncio.Event()
        self._waiting = bytearray()
        self._opening = asyncio.create_task(self._open())

    @property
    def provider(self) -> str:
        """The name of the recogniser; empty while there is none."""
        return self._stream.provider if self._stream is not None else ""

    def push(self, pcm: bytes) -> None:
        """Add what was heard."""
        if self._stream is not None:
            self._stream.push(pcm)
        elif len(self._waiting) + len(pcm) <= MOST_WAITING_BYTES:
            self._waiting += pcm

    async def finish(self) -> str:
        """The text of the utterance. Raises `SpeechError`, at once when it is known that nobody hears.

        An utterance that begins while this one waits for recognition to open becomes part of it.
        """
        await self._settled.wait()
        if self._stream is None:
            self._waiting.clear()
            raise RecognitionError("recognition", f"not open: {self._error}") from self._error
        return await self._stream.finish()

    async def hints(self) -> AsyncIterator[Hint]:
        """Those of the recogniser, once there is one."""
        await self._opened.wait()
        if self._stream is not None:
            async for hint in self._stream.hints():
                yield hint

    async def aclose(self) -> None:
        """Let go of the recogniser."""
        self._opening.cancel()
        await asyncio.wait({self._opening})
        self._settled.set()
        self._opened.set()
        if self._stream is not None:
            await self._stream.aclose()

    async def _open(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        await self._try()
        while self._stream is None:
            await self._sleep(pause)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)
            await self._try()
        self._opened.set()

    async def _try(self) -> None:
        self._settled.clear()
        try:
            stream = await self._open_stream()
        except SpeechError as error:
            log.warning("recognition.not_opened", error=str(error))
            self._error = error
        except Exception as error:  # the boundary of a provider's library: recorded, and tried again
            log.exception("recognition.not_opened")
            self._error = error
        else:
            if self._waiting:
                stream.push(bytes(self._waiting))
                self._waiting.clear()
            self._stream = stream
        self._settled.set()
