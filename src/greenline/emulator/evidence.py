"""What is kept to be looked at: the newest of its kind, so that an emulator can run for weeks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Evidence(Generic[T]):
    """Things in the order in which they came, as many of the newest as ``limit`` says now.

    ``weight`` tells how much of the limit a thing takes; the newest is kept whatever it weighs.
    """

    def __init__(self, limit: Callable[[], int], weight: Callable[[T], int] = lambda thing: 1) -> None:
        self._limit = limit
        self._weight = weight
        self._things: deque[T] = deque()
        self._weighs = 0
        self.forgotten = 0
        """How many older ones there were."""

    def __iter__(self) -> Iterator[T]:
        return iter(self._things)

    def append(self, thing: T) -> None:
        """Keep one more, and forget the oldest ones for which there is no room."""
        self._things.append(thing)
        self._weighs += self._weight(thing)
        while self._weighs > self._limit() and len(self._things) > 1:
            self._weighs -= self._weight(self._things.popleft())
            self.forgotten += 1
