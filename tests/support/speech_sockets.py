"""Recognisers over WebSockets on loopback: Deepgram Nova and Flux, ElevenLabs Scribe. They read coded speech.

Each one behaves as its documentation says, and can be told to misbehave.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from support.coded_speech import decoded, quiet_at_end

RATE = 16_000
MOST_LETTERS = 1_200
"""Of all keyterms: about 500 tokens (Deepgram: Keyterm prompting)."""
LANGUAGES = frozenset({"en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"})
"""Of Flux (Deepgram: Language prompting)."""


@dataclass
class Faults:
    """What goes wrong: a refused handshake, a connection that ends after so much sound, strange frames.

    ``reads`` is whether anything is read of what comes.
    """

    refuse: tuple[int, Any] | None = None
    cut_after_seconds: float | None = None
    close_after_seconds: tuple[float, int, str] | None = None
    frames_first: list[str | bytes] = field(default_factory=list)
    deaf: bool = False
    reads: bool = True


class Hearer:
    """What the fakes have in common. ``sound`` is all PCM of the newest connection."""

    def __init__(self) -> None:
        self.url = ""
        self.faults = Faults()
        self.requests: list[Request] = []
        self.texts: list[dict[str, Any]] = []
        self.sound = bytearray()
        self.open = 0

    @property
    def query(self) -> dict[str, list[str]]:
        """The query of the newest connection."""
        return parse_qs(urlsplit(self.requests[-1].path).query)

    def reset(self) -> None:
        """A connection begins."""
        self.sound = bytearray()

    async def on_sound(self, connection: ServerConnection) -> None:
        """More sound has come."""

    async def on_text(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        """A message has come."""

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse, or let in."""
        self.requests.append(request)
        keyterms = parse_qs(urlsplit(request.path).query).get("keyterm", [])
        if len(keyterms) > 100 or sum(len(term) for term in keyterms) > MOST_LETTERS:
            self.faults = Faults(refuse=(400, {"err_msg": "Keyterm limit exceeded."}))
        if self.faults.refuse is None:
            return None
        status, body = self.faults.refuse
        return Response(status, "No", Headers({"content-type": "application/json"}), json.dumps(body).encode())

    async def serve(self, connection: ServerConnection) -> None:
        """One connection."""
        self.reset()
        self.open += 1
        try:
            for frame in self.faults.frames_first:
                await connection.send(frame)
            if not self.faults.reads:
                connection.transport.pause_reading()
                await connection.wait_closed()
            async for raw in connection:
                await self._take(connection, raw)
                seconds = len(self.sound) / 2 / RATE
                if self.faults.cut_after_seconds is not None and seconds >= self.faults.cut_after_seconds:
                    connection.transport.abort()
                    return
                if self.faults.close_after_seconds and seconds >= self.faults.close_after_seconds[0]:
                    await connection.close(*self.faults.close_after_seconds[1:])
                    return
        except ConnectionClosed:
            pass
        finally:
            self.open -= 1

    async def _take(self, connection: ServerConnection, raw: str | bytes) -> None:
        if isinstance(raw, bytes):
            self.sound += raw
            if not self.faults.deaf:
                await self.on_sound(connection)
            return
        message = json.loads(raw)
        self.texts.append(message)
        if not self.faults.deaf:
            await self.on_text(connection, message)


class Nova(Hearer):
    """Deepgram ``/v1/listen``: interim results every half second, a final one at Finalize if sound is left."""

    least_to_finalize = 0.0

    def text(self) -> str:
        """What is understood of the sound since ``segment``, the end of the last final result."""
        return decoded(bytes(self.sound[self.segment :]))

    def reset(self) -> None:
        super().reset()
        self.segment = 0
        self._reported = 0

    async def on_sound(self, connection: ServerConnection) -> None:
        if len(self.sound) - self._reported >= RATE:
            self._reported = len(self.sound)
            await self._result(connection, final=False)

    async def on_text(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        if message["type"] == "Finalize" and len(self.sound) - self.segment > self.least_to_finalize * RATE * 2:
            await self._result(connection, final=True, from_finalize=True)
            self.segment = self._reported = len(self.sound)

    async def _result(self, connection: ServerConnection, *, final: bool, **more: Any) -> None:
        result = {
            "type": "Results",
            "channel_index": [0, 1],
            "start": self.segment / 2 / RATE,
            "duration": (len(self.sound) - self.segment) / 2 / RATE,
            "is_final": final,
            "speech_final": False,
            "channel": {"alternatives": [{"transcript": self.text(), "confidence": 0.9}]},
            **more,
        }
        await connection.send(json.dumps(result))


class Flux(Hearer):
    """Deepgram ``/v2/listen``: updates every quarter of a second; a turn ends after 0.6 s of silence, or by force.

    A hint of a language that it does not know is refused.
    """

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        hints = parse_qs(urlsplit(request.path).query).get("language_hint", [])
        if not LANGUAGES.issuperset(hints):
            self.faults = Faults(refuse=(400, {"err_code": "INVALID_PARAMETER", "err_msg": "unsupported language"}))
        return super().answer(connection, request)

    def reset(self) -> None:
        super().reset()
        self._turn = 0
        self._begin = 0
        self._reported = 0
        self._eager = False

    async def on_sound(self, connection: ServerConnection) -> None:
        while len(self.sound) - self._reported >= RATE // 2:
            self._reported += RATE // 2
            await self._update(connection)

    async def on_text(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        if message["type"] == "ForceEndTurn" and self._text():
            await self._end(connection, "manual")

    async def _update(self, connection: ServerConnection) -> None:
        quiet = quiet_at_end(bytes(self.sound[self._begin : self._reported]))
        if self._text() and quiet >= 0.6:
            await self._end(connection, "model")
        elif self._text() and quiet >= 0.3 and not self._eager:
            self._eager = True
            await self._info(connection, "EagerEndOfTurn")
        elif self._eager and quiet < 0.3:
            self._eager = False
            await self._info(connection, "TurnResumed")
        else:
            await self._info(connection, "Update")

    async def _end(self, connection: ServerConnection, trigger: str) -> None:
        await self._info(connection, "EndOfTurn", trigger=trigger)
        self._turn += 1
        self._begin = self._reported
        self._eager = False

    def _text(self) -> str:
        return decoded(bytes(self.sound[self._begin : self._reported]))

    async def _info(self, connection: ServerConnection, event: str, **more: Any) -> None:
        info = {
            "type": "TurnInfo",
            "request_id": "r",
            "sequence_id": self._reported,
            "event": event,
            "turn_index": self._turn,
            "audio_window_start": self._begin / 2 / RATE,
            "audio_window_end": self._reported / 2 / RATE,
            "transcript": self._text(),
            "words": [],
            "end_of_turn_confidence": 0.5,
            **more,
        }
        await connection.send(json.dumps(info))


class Scribe(Hearer):
    """ElevenLabs ``/v1/speech-to-text/realtime`` with manual commits; less than 0.3 s is not committed.

    It commits by itself after ``own_commit_seconds``, and takes no larger pieces of sound than it advises.
    """

    own_commit_seconds = 90.0

    def reset(self) -> None:
        super().reset()
        self._begin = 0
        self._partial = 0

    async def on_text(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        assert message["message_type"] == "input_audio_chunk"
        piece = base64.b64decode(message["audio_base_64"])
        if len(piece) > RATE * 2:
            await connection.send('{"message_type": "chunk_size_exceeded", "error": "more than a second of sound"}')
            await connection.close(1008)
            return
        self.sound += piece
        text = decoded(bytes(self.sound[self._begin :]))
        if message["commit"] or len(self.sound) - self._begin >= self.own_commit_seconds * RATE * 2:
            await self._commit(connection, text)
        elif len(self.sound) - self._partial >= RATE:
            self._partial = len(self.sound)
            await connection.send(json.dumps({"message_type": "partial_transcript", "text": text}))

    async def _commit(self, connection: ServerConnection, text: str) -> None:
        if len(self.sound) - self._begin < 0.3 * RATE * 2:
            answer = {"message_type": "commit_throttled", "error": "less than 0.3 s of uncommitted audio"}
        else:
            answer = {"message_type": "committed_transcript", "text": text}
        self._begin = len(self.sound)
        await connection.send(json.dumps(answer))


@contextlib.asynccontextmanager
async def hearing(hearer: Hearer) -> AsyncIterator[None]:
    """Serve on a free port of loopback."""
    async with serve(hearer.serve, "127.0.0.1", 0, process_request=hearer.answer, close_timeout=1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        hearer.url = f"http://127.0.0.1:{port}"
        yield
        await asyncio.sleep(0)
