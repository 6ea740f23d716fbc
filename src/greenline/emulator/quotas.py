"""Limits on how often something may be done in a stretch of time that slides along."""

from __future__ import annotations

from collections import deque


def take(moments: deque[float], now: float, seconds: float, most: int) -> bool:
    """Do it once more, unless it was done ``most`` times in the last ``seconds``; ``moments`` remembers when."""
    while moments and moments[0] <= now - seconds:
        moments.popleft()
    if len(moments) >= most:
        return False
    moments.append(now)
    return True
