"""Sounds for tests of calls: tones that are told apart by counting, and their energy."""

from __future__ import annotations

import math
import struct

RATE = 16_000


def tone(seconds: float, *, frequency: float = 400.0, amplitude: int = 8000) -> bytes:
    """16-bit PCM of a sine."""
    count = int(seconds * RATE)
    wave = (int(amplitude * math.sin(2 * math.pi * frequency * i / RATE)) for i in range(count))
    return struct.pack(f"<{count}h", *wave)


def level(pcm: bytes) -> float:
    """Root mean square of 16-bit PCM; 0 for none."""
    samples = memoryview(pcm).cast("h")
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples)) if len(samples) else 0.0


def voiced_seconds(pcm: bytes, *, threshold: float = 500.0) -> float:
    """How much of the sound is louder than ``threshold``, in steps of 20 ms."""
    step = RATE // 50 * 2
    return sum(level(pcm[at : at + step]) > threshold for at in range(0, len(pcm) - step + 1, step)) / 50
