"""Deepgram's Flux (``/v2/listen``): recognition that knows by itself when a turn ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from greenline.speech.deepgram import TOLD_APART, DeepgramRecogniser, keyterms
from greenline.speech.errors import RecognitionError
from greenline.speech.http import Address
from greenline.speech.models import (
    HEARING_RATE,
    EndOfTurn,
    Partial,
    RecognitionOptions,
    RecognitionStream,
    Transcript,
    TurnResumed,
)
from greenline.speech.socket import KeepAlive, SocketStream, SpeechSocket

EAGER_THRESHOLD: Final = 0.5
"""Confidence from which an eager end of turn is said, of 0.3 to 0.9; 0.4 to 0.6 is Deepgram's advice."""
WAIT_SECONDS: Final = 1.0
"""Updates come four times for each second of sound; one that takes longer is not waited for."""
_LAG_SECONDS: Final = 0.5
"""Of sound without an update. The text of a turn that misses more of it is half of what was said."""
_FLUSH: Final = bytes(HEARING_RATE // 4 * 2)
"""A quarter of a second of silence: an update is due after as much sound."""
_FORCE: Final = json.dumps({"type": "ForceEndTurn"})
_CLOSE: Final = json.dumps({"type": "CloseStream"})
_KEEP_ALIVE: Final = KeepAlive(bytes(HEARING_RATE // 10 * 2), 3.0)
"""Flux has no message for it: a tenth of a second of silence."""
_RECORDINGS: Final = "nova-3"


class FluxRecogniser:
    """A `Recogniser` with a Flux model. Flux only listens live: recordings go to Nova."""

    def __init__(self, model: str, address: Address, *, seconds: float) -> None:
        self.name = f"deepgram:{model}"
        self._model = model
        self._address = address
        self._seconds = seconds
        self._nova = DeepgramRecogniser(_RECORDINGS, address, seconds=seconds)

    async def open(self, options: RecognitionOptions) -> RecognitionStream:
        """Connect."""
        query = [
            ("model", self._model),
            ("encoding", "linear16"),
            ("sample_rate", str(HEARING_RATE)),
            ("eager_eot_threshold", str(EAGER_THRESHOLD)),
            *(("keyterm", keyword) for keyword in keyterms(options.keywords)),
        ]
        if self._model.endswith("-multi"):
            query.extend(("language_hint", language) for language in _hints(options))
        socket = await SpeechSocket.open(
            self.name,
            self._address,
            f"/v2/listen?{urlencode(query)}",
            seconds=self._seconds,
            keep_alive=_KEEP_ALIVE,
        )
        return FluxStream(self.name, socket)

    async def transcribe(self, audio: bytes, mime_type: str, options: RecognitionOptions) -> Transcript:
        """A recording, by Nova."""
        return await self._nova.transcribe(audio, mime_type, options)

    async def aclose(self) -> None:
        """Close the connections of recordings."""
        await self._nova.aclose()


class FluxStream(SocketStream):
    """An utterance is made of the turns since the last one, most often of one. Flux numbers its turns."""

    def __init__(self, provider: str, socket: SpeechSocket) -> None:
        self._pushed_bytes = 0
        self._heard = 0.0
        self._pending = False
        self._turns: dict[int, str] = {}
        self._open: int | None = None
        self._forced = -1
        """The turn that we ended. That is no word of Flux about the person, who may have made a short pause."""
        self._taken = -1
        super().__init__(provider, socket)

    def push(self, pcm: bytes) -> None:
        """Send it."""
        self._pending = True
        self._send(pcm)

    async def finish(self) -> str:
        """Take the turns that have ended, or let Flux hear all that was sent and end its turn."""
        if not self._pending:
            return ""
        self._pending = False
        if self._open is not None or not self._turns:
            end, before = self._sent, self._heard
            self._send(_FLUSH)
            enough = await self.until(lambda: self._heard >= end, WAIT_SECONDS, reached=lambda: self._heard)
            if not enough and (self._heard == before or self._heard < end - _LAG_SECONDS):
                raise RecognitionError(self.provider, f"no update in {WAIT_SECONDS:.0f} s")
        last = max(self._turns, default=self._taken)
        if self._open == last:
            self._forced = last
            self._socket.send(_FORCE)
            await self.until(lambda: self._open != last, WAIT_SECONDS)
        text = " ".join(text for turn, text in self._turns.items() if turn <= last)
        self._take(last)
        return text

    async def aclose(self) -> None:
        """Say so, and close the connection."""
        self._socket.send(_CLOSE)
        await super().aclose()

    def on_message(self, message: Mapping[str, Any]) -> None:
        """A step of a turn, or one of the messages that need no answer."""
        if message.get("type") == "Error":
            raise RecognitionError(self.provider, str(message.get("description") or message)[:200])
        if message.get("type") != "TurnInfo":
            return
        self._heard = float(message["audio_window_end"])
        turn, event, text = int(message["turn_index"]), message["event"], str(message["transcript"])
        if turn <= self._taken:
            return
        if text:
            self._turns[turn] = text
        self._open = turn if text and event != "EndOfTurn" else None
        if event == "TurnResumed":
            self.hint(TurnResumed())
        elif text:
            said, over = self._so_far(), float(message["end_of_turn_confidence"])
            ends = event in ("EndOfTurn", "EagerEndOfTurn") and turn != self._forced
            self.hint(EndOfTurn(said, eager=event != "EndOfTurn", over=over) if ends else Partial(said, over))

    def _so_far(self) -> str:
        return " ".join(self._turns.values())

    @property
    def _sent(self) -> float:
        """The time of the stream, as Flux counts it."""
        sound = self._pushed_bytes + self._socket.kept_alive * len(_KEEP_ALIVE.frame)
        return sound / 2 / HEARING_RATE

    def _send(self, pcm: bytes) -> None:
        self._pushed_bytes += len(pcm)
        self._socket.send(pcm)

    def _take(self, last: int) -> None:
        """Forget the turns up to ``last``; of one that began since then more is to come."""
        self._taken = last
        self._turns = {turn: text for turn, text in self._turns.items() if turn > last}
        if self._open is not None and self._open <= last:
            self._open = None


def _hints(options: RecognitionOptions) -> list[str]:
    """The languages without their countries; with one that Flux does not know it would refuse the connection."""
    languages = (language.partition("-")[0] for language in (options.language or "", *options.others))
    return [language for language in dict.fromkeys(languages) if language in TOLD_APART]
