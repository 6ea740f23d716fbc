"""Sounds for tests of speech: tones, noise, and how loud they come out."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av import AudioFrame, AudioStream

Samples = np.ndarray[Any, np.dtype[np.float64]]


def sine(seconds: float, rate: int, *, hertz: float = 440.0, amplitude: float = 8000.0) -> bytes:
    """Mono PCM of one tone."""
    times = np.arange(int(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * times)).astype("<i2").tobytes()


def noise(seconds: float, rate: int, *, amplitude: float = 1000.0, seed: int = 1) -> bytes:
    """Mono PCM of white noise."""
    samples = np.random.default_rng(seed).normal(0.0, amplitude, int(seconds * rate))
    return samples.clip(-32_768, 32_767).astype("<i2").tobytes()


def samples(pcm: bytes) -> Samples:
    """PCM as numbers."""
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def rms(pcm: bytes) -> float:
    """How loud it is."""
    return float(np.sqrt(np.mean(samples(pcm) ** 2))) if pcm else 0.0


def pitch(pcm: bytes, rate: int) -> float:
    """The frequency with the most energy, in hertz."""
    values = samples(pcm)
    spectrum = np.abs(np.fft.rfft(values * np.hanning(len(values))))
    return float(np.argmax(spectrum[1:]) + 1) * rate / len(values)


def mixed(one: bytes, other: bytes) -> bytes:
    """Both at once, as long as the first."""
    a, b = samples(one), samples(other)
    b = np.pad(b, (0, max(0, len(a) - len(b))))[: len(a)]
    return (a + b).clip(-32_768, 32_767).astype("<i2").tobytes()


def sound_file(pcm: bytes, rate: int, *, container: str, codec: str, file_rate: int | None = None) -> bytes:
    """A file as a phone or another program makes it, through FFmpeg."""
    file = io.BytesIO()
    with av.open(file, mode="w", format=container) as out:
        stream = out.add_stream(codec, rate=file_rate or rate)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = "mono"
        frame = AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.sample_rate = rate
        frame.pts = 0
        frame.time_base = Fraction(1, rate)
        frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()
