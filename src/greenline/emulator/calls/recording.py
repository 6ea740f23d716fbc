"""Recording and transcription of calls by Meta, and voicemail (Meta: Calling API; GA in June 2026).

Both sides hear an announcement first, here a chime, which the business must not take for the person. The recording
has the business on the left and the person on the right. The emulator understands no speech: segments of a transcript
tell who spoke when, and hold no words, as Meta's do for a language that it does not know.
"""

from __future__ import annotations

import asyncio
import io
import json
from typing import Annotated, Any, Final, Literal

import av
import numpy as np
from av import AudioFrame
from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from greenline.emulator.calls.call import Call
from greenline.emulator.calls.calling import calling
from greenline.emulator.calls.peer import HEARD_RATE, LOUD, RATE, loudness
from greenline.emulator.calls.telling import Teller
from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.media import RECEIVED_SECONDS, Media, MediaStore
from greenline.emulator.world import Number

_LANGUAGES: Final = r"^(en(_[A-Z]{2})?|fr|de|hi|it|kn|pt|es|es_ES|te|vi|nl)$"
_STEP: Final = HEARD_RATE // 50
"""Samples of 20 ms."""
_PAUSE_STEPS: Final = 25
"""Half a second without voice ends a segment."""
_TRIGGERS: Final = {"business_rejected": "REJECT", "business_silent": "TIMEOUT"}
"""How a call ended: the trigger of voicemail that this is."""


class _Order(BaseModel, extra="forbid"):
    status: Literal["ENABLED", "DISABLED"]
    purpose: str = Field("", max_length=250)
    announcement_language: Annotated[str, StringConstraints(pattern=_LANGUAGES)] = "en"

    @model_validator(mode="after")
    def _says_why(self) -> _Order:
        if self.status == "ENABLED" and not self.purpose:
            raise ValueError("purpose is required, of 1 to 250 characters")
        return self


def read_orders(action: str, body: dict[str, Any]) -> frozenset[str]:
    """Which of ``recording`` and ``transcription`` an action orders. Raises `MetaError` 100."""
    ordered = set()
    for name in ("recording", "transcription"):
        if name not in body:
            continue
        if action not in ("accept", "connect"):
            raise MetaError(100, f"{name} goes with accept or connect.")
        try:
            order = _Order.model_validate(body[name])
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in (name, *first["loc"]))
            raise MetaError(100, f"{place}: {first['msg']}") from error
        if order.status == "ENABLED":
            ordered.add(name)
    return frozenset(ordered)


class Tape:
    """Both sides of a call at 16 kHz. `say` sets the pace; what the business said meanwhile is laid beside it."""

    def __init__(self, seconds: float) -> None:
        """Records so many seconds at most."""
        self._business = bytearray()
        self._both: list[Any] = []
        self._left = int(seconds * 50)

    def hear(self, pcm: bytes) -> None:
        """Sound of the business, 48 kHz."""
        self._business += pcm

    def say(self, pcm: bytes) -> None:
        """20 ms of the person, 48 kHz."""
        heard = bytes(self._business[: len(pcm)]).ljust(len(pcm), b"\0")
        del self._business[: len(pcm)]
        if self._left > 0:
            self._left -= 1
            self._both.append(np.stack([_narrow(heard), _narrow(pcm)], axis=1))

    def sound(self) -> Any:
        """Samples, one row each of business and person."""
        return np.concatenate(self._both) if self._both else np.zeros((0, 2), np.int16)


class Recordings:
    """Makes recordings, transcripts and voicemails into media, and tells of them."""

    def __init__(self, media: MediaStore, config: Config, clock: MovableClock, teller: Teller) -> None:
        self._media = media
        self._config = config
        self._clock = clock
        self._teller = teller

    async def begin(self, call: Call) -> None:
        """Announce to both sides, then record."""
        call.announce(chime())
        while call.state == "active" and not call.peer.mouth.done.is_set():  # noqa: ASYNC110 - either may come
            await asyncio.sleep(0.02)
        if call.state == "active":
            call.tape = Tape(self._config.call_sound_seconds)
            call.peer.mouth.heard_by = call.tape.say
            call.note("recording")

    async def deliver(self, call: Call) -> None:
        """The files of a call that is over, some time later."""
        if call.tape is None:
            return
        sound, call.tape = call.tape.sound(), None
        await self._clock.sleep(self._config.call_files_delay)
        if "recording" in call.orders:
            data = await asyncio.to_thread(ogg, sound, HEARD_RATE)
            told = {"type": "audio", "audio": self._keep(call, "audio/ogg; codecs=opus", data)}
            self._teller.file(call, "call_recording_available", {"call_recording": told})
        if "transcription" in call.orders:
            data = json.dumps(transcript(sound, self._clock.now())).encode()
            told = {"document": self._keep(call, "application/json", data)}
            self._teller.file(call, "call_transcription_available", {"call_transcript": told})

    def voicemail(self, call: Call, pcm: bytes) -> Media:
        """What a person leaves after a call that nobody took, 48 kHz. Raises ``ValueError`` where they can't."""
        settings = calling(call.number).get("voicemail") or {}
        if call.direction != "USER_INITIATED" or call.ended_by not in _TRIGGERS:
            raise ValueError("Voicemail follows a call of a person that the business rejected or did not take.")
        if settings.get("status") != "ENABLED" or _TRIGGERS[call.ended_by] not in settings["triggers"]:
            raise ValueError("The number takes no voicemail of such a call.")
        data = ogg(np.frombuffer(pcm, "<i2").reshape(-1, 1), RATE)
        expires = self._clock.now() + RECEIVED_SECONDS
        return self._media.add(call.number.id, "audio/ogg; codecs=opus", data, None, expires)

    def _keep(self, call: Call, mime_type: str, data: bytes) -> dict[str, Any]:
        now = self._clock.now()
        media = self._media.add(call.number.id, mime_type, data, None, now + RECEIVED_SECONDS)
        return {**media.in_webhook(), "url": self._media.address(media, call.base_url, now)}


def voicemail_wait(number: Number) -> float | None:
    """After which a call goes to voicemail, in seconds; None where it does not."""
    settings = calling(number).get("voicemail") or {}
    if settings.get("status") != "ENABLED" or "TIMEOUT" not in settings["triggers"]:
        return None
    return float((settings["audio"].get("default") or {}).get("timeout_seconds", 0))


def chime() -> bytes:
    """The announcement: two tones in a second, 16-bit mono PCM of 48 kHz."""
    moments = np.arange(RATE // 2) / RATE
    tones = [np.sin(2 * np.pi * pitch * moments) * 4000 for pitch in (660.0, 880.0)]
    return np.concatenate(tones).astype("<i2").tobytes()


def transcript(sound: Any, now: float) -> dict[str, Any]:
    """Meta's document: who spoke when, in seconds since the recording began."""
    spoken = sorted((*stretch, channel) for channel in (0, 1) for stretch in _stretches(sound[:, channel]))
    duration = round(len(sound) / HEARD_RATE, 2)
    return {
        "metadata": {"processed_at": int(now), "audio": {"duration": duration, "channels": 2}},
        "transcript": {
            "text": "",
            "language": "",
            "duration": duration,
            "confidence": 0.0,
            "segments": [_segment(number, *stretch) for number, stretch in enumerate(spoken)],
        },
    }


def _segment(number: int, start: float, end: float, channel: int) -> dict[str, Any]:
    speaker = ("Business", "Customer")[channel]
    said = {"start": start, "end": end, "text": "", "confidence": 0.0, "words": []}
    return {"id": number, "speaker": speaker, "channel": channel, **said}


def ogg(samples: Any, rate: int) -> bytes:
    """Ogg/Opus of 16-bit samples, a column for each channel."""
    layout = "stereo" if samples.shape[1] == 2 else "mono"
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as out:
        stream: Any = out.add_stream("libopus", rate=48_000, layout=layout)
        frame = AudioFrame(format="s16", layout=layout, samples=max(rate // 50, len(samples)))
        frame.planes[0].update(samples.astype("<i2").tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.pts = rate, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def _narrow(pcm: bytes) -> Any:
    """48 kHz as 16 kHz."""
    return np.frombuffer(pcm, "<i2").reshape(-1, 3).mean(axis=1).astype(np.int16)


def _stretches(samples: Any) -> list[tuple[float, float]]:
    found: list[list[int]] = []
    for step in range(len(samples) // _STEP):
        if loudness(samples[step * _STEP : (step + 1) * _STEP].tobytes()) <= LOUD:
            continue
        if found and step - found[-1][1] <= _PAUSE_STEPS:
            found[-1][1] = step + 1
        else:
            found.append([step, step + 1])
    return [(round(start / 50, 2), round(end / 50, 2)) for start, end in found]
