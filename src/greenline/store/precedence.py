"""Which work goes first where a process has more of it than it can do: what answers someone who waits.

A webhook that is late is delivered again, and with it comes what a person wrote; a turn that begins a second later is
only that. So turns are begun as fast as they don't delay what goes first: a little faster as long as all is well,
half as fast when it is not (additive increase, multiplicative decrease, as TCP finds its share of a line).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

TIMES: Final = 4.0
"""How much slower than in the calmest moment operations are when others are in their way."""
UNNOTICED: Final = 0.005
"""Seconds that are never late. Webhooks on 64 connections hold 4,000/s up to a commit of 8 ms."""
SMOOTHING: Final = 1 / 8
"""Weight of the newest operation in the mean, as TCP smooths its round trips (RFC 6298)."""
ENOUGH: Final = 16
"""Operations after which their mean tells something."""
WINDOW: Final = 30.0
"""Seconds in which the calmest moment is looked for: a disk that became slow is the measure after twice of it."""
STALE: Final = 0.2
"""Seconds after the last operation from which on there is nothing that could be late."""


class Delay:
    """How long operations take, against the calmest moment of late. Times are those of the event loop, in seconds."""

    def __init__(self) -> None:
        self._mean, self._noted = 0.0, 0
        self._began: float | None = None
        self._last_at = float("-inf")
        self._calmest = self._calmest_before = float("inf")
        self._window_ends = float("-inf")

    @contextlib.contextmanager
    def operation(self, time: Callable[[], float]) -> Iterator[None]:
        """One operation, at a time: it is noted when it is over, unless it fails."""
        began = self._began = time()
        try:
            yield
            self._note(began, time())
        finally:
            self._began = None

    def late(self, now: float) -> bool:
        """Whether operations take much longer than they do when nothing is in their way.

        One that is under way counts as if it were over now: it may be the one for which all others wait.
        """
        limit = max(UNNOTICED, TIMES * min(self._calmest, self._calmest_before))
        if self._began is not None and (taken := now - self._began) > limit:
            return self._mean_with(taken, self._noted + 1) > limit
        return now < self._last_at + STALE and self._mean > limit

    def _note(self, began: float, ended: float) -> None:
        if ended >= self._window_ends:
            self._calmest_before, self._calmest = self._calmest, float("inf")
            self._window_ends = ended + WINDOW
        self._noted += 1
        self._mean = self._mean_with(ended - began, self._noted)
        if self._noted >= ENOUGH:
            self._calmest = min(self._calmest, self._mean)
        self._last_at = ended

    def _mean_with(self, took: float, number: int) -> float:
        return self._mean + max(SMOOTHING, 1 / number) * (took - self._mean)


class Share:
    """How many pieces of work may be begun at once: 1 to ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = float(most)

    @property
    def size(self) -> int:
        """Pieces of work."""
        return int(self._size)

    def adapt(self, *, late: bool) -> None:
        """To be told before each begin whether what goes first is late."""
        self._size = max(1.0, self._size / 2) if late else min(float(self._most), self._size + 1)
