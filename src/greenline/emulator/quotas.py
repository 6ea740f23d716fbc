"""Limits on how often something may be done in a stretch of time that slides along."""

from __future__ import annotations

from collections import deque
from itertools import takewhile


def take(moments: deque[float], now: float, seconds: float, most: int) -> bool:
    """Do it once more, unless it was done ``most`` times in the last ``seconds``; ``moments`` remembers when."""
    while moments and moments[0] <= now - seconds:
        moments.popleft()
    if len(moments) >= most:
        return False
    moments.append(now)
    return True


def remember(moments: dict[str, float], key: str, now: float) -> None:
    """Note when something last happened to ``key``; what was longest ago stays first."""
    moments.pop(key, None)
    moments[key] = now


def forget(moments: dict[str, float], until: float) -> None:
    """Drop what `remember` noted up to a moment."""
    for key in list(takewhile(lambda known: moments[known] <= until, moments)):
        del moments[key]
