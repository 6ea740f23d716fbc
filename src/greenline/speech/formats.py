"""The audio formats of the wire, named as in ``user_input_audio_format`` and ``agent_output_audio_format``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

import numpy as np

from greenline.speech.errors import AudioError

RATES: Final = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
_BIAS: Final = 0x84
_CLIP: Final = 32_635
"""The loudest sample that has a code (ITU-T G.711, mu-law)."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Mono sound: PCM, signed 16 bit little-endian, or G.711 mu-law."""

    encoding: Literal["pcm", "ulaw"]
    rate: int

    def __str__(self) -> str:
        return f"{self.encoding}_{self.rate}"

    @property
    def bytes_per_second(self) -> int:
        """The size of a second of it."""
        return self.rate * (2 if self.encoding == "pcm" else 1)

    def from_pcm(self, pcm: bytes) -> bytes:
        """PCM of the same rate in this format."""
        return pcm if self.encoding == "pcm" else ulaw_from_pcm(pcm)

    def to_pcm(self, sound: bytes) -> bytes:
        """Sound of this format as PCM of the same rate. Raises `AudioError` for half a sample."""
        if self.encoding == "ulaw":
            return pcm_from_ulaw(sound)
        if len(sound) % 2:
            raise AudioError(f"{self} has two bytes a sample, and {len(sound)} bytes came")
        return sound


def audio_format(name: str) -> AudioFormat:
    """The format of a name such as ``pcm_16000``. Raises `AudioError` for a name that the reference doesn't have."""
    known = _formats().get(name)
    if known is None:
        raise AudioError(f"there is no audio format {name!r}: it is one of {', '.join(_formats())}")
    return known


def ulaw_from_pcm(pcm: bytes) -> bytes:
    """A byte for each sample."""
    return bytes(_codes()[np.frombuffer(pcm, "<u2")])


def pcm_from_ulaw(sound: bytes) -> bytes:
    """A sample for each byte."""
    return _levels()[np.frombuffer(sound, np.uint8)].tobytes()


@cache
def _formats() -> dict[str, AudioFormat]:
    formats = [*(AudioFormat("pcm", rate) for rate in RATES), AudioFormat("ulaw", 8_000)]
    return {str(known): known for known in formats}


@cache
def _codes() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The code of each of the 65,536 samples, by its bits read as an unsigned number."""
    samples = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    sign = np.where(samples < 0, 0x80, 0)
    loudness = np.minimum(np.abs(samples), _CLIP) + _BIAS
    exponent = np.floor(np.log2(loudness)).astype(np.int32) - 7
    mantissa = (loudness >> (exponent + 3)) & 0x0F
    return np.asarray(~(sign | exponent << 4 | mantissa) & 0xFF, np.uint8)


@cache
def _levels() -> np.ndarray[Any, np.dtype[np.int16]]:
    """The sample of each of the 256 codes."""
    codes = ~np.arange(256, dtype=np.int32) & 0xFF
    loudness = (((codes & 0x0F) << 3) + _BIAS << ((codes & 0x70) >> 4)) - _BIAS
    return np.where(codes & 0x80, -loudness, loudness).astype("<i2")
