"""Speech for tests of wires: each word is a stretch of one sample value, so that what arrived can be read back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np

WORDS = ("", "where", "is", "my", "order", "it", "late", "yes", "no", "please", "repeat", "that", "hello")
STEP = 1_000
WORD_SECONDS = 0.2
GAP_SECONDS = 0.02


def coded(text: str, rate: int = 16_000) -> bytes:
    """PCM of words."""
    word, gap = int(WORD_SECONDS * rate), int(GAP_SECONDS * rate)
    blocks = [np.r_[np.full(word, WORDS.index(name) * STEP), np.zeros(gap)] for name in text.split()]
    return np.concatenate([np.zeros(0), *blocks]).astype("<i2").tobytes()


def silence(seconds: float, rate: int = 16_000) -> bytes:
    """PCM of nothing."""
    return bytes(int(seconds * rate) * 2)


def decoded(pcm: bytes) -> str:
    """The words in PCM, also where a stretch is cut."""
    return " ".join(WORDS[value // STEP] for value, _ in _runs(pcm) if value and value % STEP == 0)


def quiet_at_end(pcm: bytes, rate: int = 16_000) -> float:
    """Seconds of silence after the last word."""
    runs = list(_runs(pcm))
    return runs[-1][1] / rate if runs and runs[-1][0] == 0 else 0.0


def _runs(pcm: bytes) -> Iterator[tuple[int, int]]:
    for value, run in groupby(np.frombuffer(pcm, "<i2").tolist()):
        yield value, sum(1 for _ in run)
