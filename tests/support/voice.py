"""Sounds for tests of calls: tones that are told apart by counting, and their energy."""

from __future__ import annotations

import numpy as np

RATE = 16_000


def tone(seconds: float, *, frequency: float = 400.0, amplitude: int = 8000) -> bytes:
    """16-bit PCM of a sine."""
    wave = amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)
    return wave.astype("<i2").tobytes()


def level(pcm: bytes) -> float:
    """Root mean square of 16-bit PCM; 0 for none."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0


def voiced_seconds(pcm: bytes, *, threshold: float = 500.0) -> float:
    """How much of the sound is louder than ``threshold``, in steps of 20 ms."""
    step = RATE // 50
    samples = np.frombuffer(pcm, "<i2", count=len(pcm) // 2 // step * step).astype(float).reshape(-1, step)
    return int(np.count_nonzero(np.mean(samples**2, axis=1) > threshold**2)) / 50
