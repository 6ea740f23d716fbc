"""ElevenLabs Scribe realtime: recognition over a WebSocket; we say when an utterance ends."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from greenline.speech.errors import RecognitionError
from greenline.speech.http import Address
from greenline.speech.models import HEARING_RATE, Partial, RecognitionOptions
from greenline.speech.socket import KeepAlive, SocketStream, SpeechSocket

COMMIT_SECONDS: Final = 5.0
KEEP_ALIVE_SECONDS: Final = 4.0
"""Scribe closes after some 10 s without sound, and knows no message against it."""
_SILENCE: Final = bytes(HEARING_RATE // 10 * 2)
"""A tenth of a second, which is sent instead."""
_PIECE_BYTES: Final = HEARING_RATE * 2
"""A second: Scribe advises no more at once, and closes for too much. What waited to be heard is one piece here."""
_LEAST_SECONDS: Final = 0.5
"""Scribe refuses to commit less than 0.3 s of sound; a shorter word gets silence behind it."""
_KEYTERMS: Final = 50
_KEYTERM_LENGTH: Final = 20
_COMMITTED: Final = ("committed_transcript", "final_transcript")
_EMPTY: Final = ("commit_throttled", "insufficient_audio_activity")
"""Answers to a commit of too little sound, or of sound without speech; they may also come unasked."""


async def open_scribe(
    name: str, model: str, address: Address, options: RecognitionOptions, *, seconds: float
) -> ScribeStream:
    """Connect. Raises `RecognitionError`."""
    query = [
        ("model_id", model),
        ("audio_format", f"pcm_{HEARING_RATE}"),
        ("commit_strategy", "manual"),
        *(("keyterms", word) for word in scribe_keyterms(options.keywords)),
    ]
    if options.sole_language:
        query.append(("language_code", options.sole_language))
    path = f"/v1/speech-to-text/realtime?{urlencode(query)}"
    keep_alive = KeepAlive(_chunk(_SILENCE), KEEP_ALIVE_SECONDS)
    socket = await SpeechSocket.open(name, address, path, seconds=seconds, keep_alive=keep_alive)
    return ScribeStream(name, socket)


def scribe_keyterms(keywords: Sequence[str]) -> list[str]:
    """Those of an agent's keywords that Scribe takes: longer ones, and too many, make it refuse the request."""
    return [word for word in keywords if len(word) <= _KEYTERM_LENGTH][:_KEYTERMS]


class ScribeStream(SocketStream):
    """Each commit has one answer, also one for which nobody waits any more. After 90 s Scribe commits unasked."""

    def __init__(self, provider: str, socket: SpeechSocket) -> None:
        self._uncommitted = 0.0
        self._asked = 0
        self._answers: list[str] = []
        self._committed: list[str] = []
        """Parts of the utterance that nobody asked for yet."""
        super().__init__(provider, socket)

    def push(self, pcm: bytes) -> None:
        """Send it."""
        self._uncommitted += len(pcm) / 2 / HEARING_RATE
        for at in range(0, len(pcm), _PIECE_BYTES):
            self._socket.send(_chunk(pcm[at : at + _PIECE_BYTES]))

    async def finish(self) -> str:
        """Commit, and wait for the text."""
        if not self._uncommitted:
            return ""
        number = self._commit()
        if not await self.until(lambda: len(self._answers) >= number, COMMIT_SECONDS):
            raise RecognitionError(self.provider, f"no transcript in {COMMIT_SECONDS:.0f} s")
        return self._answers[number - 1]

    def on_message(self, message: Mapping[str, Any]) -> None:
        """A text, or one of the many errors."""
        kind = str(message.get("message_type", ""))
        if kind == "partial_transcript":
            if message["text"] and self._asked == len(self._answers):
                self.hint(Partial(" ".join([*self._committed, message["text"]])))
        elif kind in _COMMITTED:
            self._take(str(message["text"]).strip())
        elif kind in _EMPTY:
            self._take("")
        elif "error" in message:
            raise RecognitionError(self.provider, f"{kind}: {message['error']}"[:200])

    def _commit(self) -> int:
        short = _LEAST_SECONDS - self._uncommitted
        silence = bytes(max(0, int(short * HEARING_RATE)) * 2)
        self._socket.send(_chunk(silence, commit=True))
        self._uncommitted = 0.0
        self._asked += 1
        return self._asked

    def _take(self, text: str) -> None:
        if text:
            self._committed.append(text)
        if self._asked > len(self._answers):
            self._answers.append(" ".join(self._committed))
            self._committed.clear()


def _chunk(pcm: bytes, *, commit: bool = False) -> str:
    return json.dumps(
        {
            "message_type": "input_audio_chunk",
            "audio_base_64": base64.b64encode(pcm).decode(),
            "commit": commit,
            "sample_rate": HEARING_RATE,
        }
    )
