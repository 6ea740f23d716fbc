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
from greenline.speech.socket import SocketStream, SpeechSocket

COMMIT_SECONDS: Final = 5.0
_LEAST_SECONDS: Final = 0.5
"""Scribe refuses to commit less than 0.3 s of sound; a shorter word gets silence behind it."""
_KEYTERMS: Final = 50
_KEYTERM_LENGTH: Final = 20
_COMMITTED: Final = ("committed_transcript", "final_transcript")
_EMPTY: Final = ("commit_throttled", "insufficient_audio_activity")
"""Answers to a commit of too little sound, or of sound without speech."""


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
    return ScribeStream(name, await SpeechSocket.open(name, address, path, seconds=seconds))


def scribe_keyterms(keywords: Sequence[str]) -> list[str]:
    """Those of an agent's keywords that Scribe takes: longer ones, and too many, make it refuse the request."""
    return [word for word in keywords if len(word) <= _KEYTERM_LENGTH][:_KEYTERMS]


class ScribeStream(SocketStream):
    """Each commit has one answer, also one for which nobody waits any more."""

    def __init__(self, provider: str, socket: SpeechSocket) -> None:
        self._uncommitted = 0.0
        self._asked = 0
        self._answers: list[str] = []
        super().__init__(provider, socket)

    def push(self, pcm: bytes) -> None:
        """Send it."""
        self._uncommitted += len(pcm) / 2 / HEARING_RATE
        self._send(pcm)

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
                self.hint(Partial(message["text"]))
        elif kind in _COMMITTED:
            self._answers.append(str(message["text"]).strip())
        elif kind in _EMPTY:
            self._answers.append("")
        elif "error" in message:
            raise RecognitionError(self.provider, f"{kind}: {message['error']}"[:200])

    def _commit(self) -> int:
        short = _LEAST_SECONDS - self._uncommitted
        silence = bytes(max(0, int(short * HEARING_RATE)) * 2)
        self._send(silence, commit=True)
        self._uncommitted = 0.0
        self._asked += 1
        return self._asked

    def _send(self, pcm: bytes, *, commit: bool = False) -> None:
        message = {
            "message_type": "input_audio_chunk",
            "audio_base_64": base64.b64encode(pcm).decode(),
            "commit": commit,
            "sample_rate": HEARING_RATE,
        }
        self._socket.send(json.dumps(message))
