"""Recordings and voice notes: what people send, and what WhatsApp plays with a waveform.

These functions compute: an asynchronous caller runs them in a thread (five seconds of sound take about 70 ms to
encode and 15 ms to decode).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import av
from av import AudioFrame
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer

from greenline.speech.errors import AudioError
from greenline.speech.models import HEARING_RATE
from greenline.speech.resample import FrameResampler, frame_bytes, resample

MAX_SECONDS: Final = 1_800.0
"""Half an hour is 58 MB of PCM; a file of a few megabytes can unfold to days of silence."""
NOTE_MIME_TYPE: Final = "audio/ogg; codecs=opus"
NOTE_BYTES: Final = 512 * 1024
"""Up to here WhatsApp shows a voice note with a play icon; above, an arrow to download it (Meta: Audio messages)."""
NOTE_RATE: Final = 48_000
_OVERHEAD: Final = 1.06
"""What pages and packet headers add to the bit rate."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Sound of a file as mono PCM. ``codec`` is FFmpeg's name, such as ``opus``."""

    pcm: bytes = field(repr=False)
    seconds: float
    codec: str


@dataclass(frozen=True, slots=True)
class VoiceNote:
    """An OGG/Opus file, mono."""

    data: bytes = field(repr=False)
    seconds: float
    mime_type: str = NOTE_MIME_TYPE


@dataclass(frozen=True, slots=True)
class _Profile:
    """``bit_rate`` in bit/s; ``frame_ms`` of a packet: longer ones cost less in headers."""

    bit_rate: int
    frame_ms: int


_PROFILES: Final = (_Profile(32_000, 20), _Profile(24_000, 20), _Profile(16_000, 60), _Profile(10_000, 60))
"""From good to small: about 2, 2.7, 4 and 6.5 minutes fit. A longer note takes the last and is an ordinary file."""


def decode_recording(audio: bytes, *, rate: int = HEARING_RATE, max_seconds: float = MAX_SECONDS) -> Recording:
    """The sound of an Ogg/Opus, AAC, AMR, MP3, M4A, WAV or other file that FFmpeg knows, at ``rate``.

    A damaged end is left out. Raises `AudioError` for bytes without sound, and for more than ``max_seconds``.
    """
    if not audio:
        raise AudioError("the file is empty")
    try:
        with av.open(io.BytesIO(audio), mode="r", metadata_errors="replace") as container:
            return _decode(container, rate, max_seconds)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AudioError(f"not a sound file that can be read ({error})") from error


def encode_note(pcm: bytes, rate: int) -> VoiceNote:
    """A voice note that WhatsApp takes, of at most `NOTE_BYTES` if speech of that length allows it.

    ``pcm`` is mono of ``rate`` samples a second. Raises `AudioError` for no sound at all.
    """
    if len(pcm) < 2:
        raise AudioError("there is no sound to make a voice note of")
    seconds = len(pcm) // 2 / rate
    sound = resample(pcm, rate, NOTE_RATE)
    for profile in _PROFILES:
        last = profile is _PROFILES[-1]
        if not last and seconds * profile.bit_rate / 8 * _OVERHEAD > NOTE_BYTES:
            continue
        data = _encode_ogg(sound, profile)
        if last or len(data) <= NOTE_BYTES:
            return VoiceNote(data, seconds)
    raise AssertionError("the last profile is always taken")


def _decode(container: InputContainer, rate: int, max_seconds: float) -> Recording:
    if not container.streams.audio:
        raise AudioError("the file has no sound in it")
    stream = container.streams.audio[0]
    resampler = FrameResampler(rate)
    sound = bytearray()
    for frame in _frames(container, stream):
        if frame is not None:
            frame.pts = None  # gaps in the time stamps are no silence
        for part in resampler.resample(frame):
            sound += frame_bytes(part)
        if len(sound) / 2 / rate > max_seconds:
            raise AudioError(f"the recording is longer than {max_seconds:.0f} seconds")
    if not sound:
        raise AudioError("no sound in the file can be read")
    return Recording(bytes(sound), len(sound) / 2 / rate, stream.codec_context.name)


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame | None]:
    """The frames, then None. A packet that can't be decoded ends a file only if nothing was decoded before it."""
    decoded = False
    try:
        for frame in container.decode(stream):
            decoded = True
            yield frame
    except av.FFmpegError:
        if not decoded:
            raise
    yield None


def _encode_ogg(pcm: bytes, profile: _Profile) -> bytes:
    """The muxer closes its last page at the true end of the sound: players then know the length."""
    file = io.BytesIO()
    options = {
        "application": "voip",
        "frame_duration": str(profile.frame_ms),
        "vbr": "constrained",
    }
    with av.open(file, mode="w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=NOTE_RATE, options=options)
        stream.codec_context.layout = "mono"
        stream.codec_context.format = "s16"
        stream.codec_context.bit_rate = profile.bit_rate
        stream.codec_context.time_base = Fraction(1, NOTE_RATE)
        for frame in _blocks(pcm, stream.codec_context):
            container.mux(stream.encode(frame))
    return file.getvalue()


def _blocks(pcm: bytes, codec: AudioCodecContext) -> Iterable[AudioFrame | None]:
    codec.open(strict=False)
    size = codec.frame_size * 2
    for at in range(0, len(pcm), size):
        block = pcm[at : at + size]
        frame = AudioFrame(format="s16", layout="mono", samples=len(block) // 2)
        frame.sample_rate = NOTE_RATE
        frame.pts = at // 2
        frame.time_base = Fraction(1, NOTE_RATE)
        frame.planes[0].update(block.ljust(frame.planes[0].buffer_size, b"\0"))
        yield frame
    yield None
