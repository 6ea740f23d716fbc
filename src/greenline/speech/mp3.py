"""MP3, the format in which recordings of conversations are given out. Computes: run it in a thread."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from typing import Final

import av
from av import AudioFrame

from greenline.speech.errors import AudioError

BIT_RATE: Final = 48_000
"""Bit/s of one channel: speech at 16 kHz loses nothing that a listener hears."""
_RATES: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


def encode_mp3(blocks: Iterable[bytes], rate: int, *, channels: int = 1) -> bytes:
    """An MP3 file of PCM that comes in blocks of any whole number of samples; two channels are interleaved.

    Raises `AudioError` for a rate that MP3 doesn't have.
    """
    if rate not in _RATES:
        raise AudioError(f"MP3 has no rate of {rate}: it is one of {', '.join(map(str, _RATES))}")
    layout = "stereo" if channels == 2 else "mono"
    file = io.BytesIO()
    with av.open(file, mode="w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=rate)
        stream.codec_context.layout = layout
        stream.codec_context.bit_rate = BIT_RATE * channels
        samples = 0
        for block in blocks:
            if not block:
                continue
            frame = AudioFrame(format="s16", layout=layout, samples=len(block) // (2 * channels))
            frame.sample_rate = rate
            frame.pts = samples
            frame.time_base = Fraction(1, rate)
            frame.planes[0].update(block.ljust(frame.planes[0].buffer_size, b"\0"))
            samples += frame.samples
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
