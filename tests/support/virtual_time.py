"""An event loop whose time is that of its timers: nothing is waited for, and everything comes when it is due."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_STEP = 1e-6
"""Time passes with each turn of the loop, as it does on a clock: a timer that was set anew is never due at once."""


class _Selector(selectors.DefaultSelector):
    """Looks at what is ready, and lets the time pass that would have been waited."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.passed += max(timeout or 0.0, _STEP)
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """For code that waits for timers only, not for files, sockets or threads."""

    def __init__(self) -> None:
        self._ready_made = _Selector()
        super().__init__(self._ready_made)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._ready_made.passed

    def stand_still(self, seconds: float) -> None:
        """Be busy for so long: whatever falls due meanwhile is late."""
        self._ready_made.passed += seconds


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test whose waits pass at once: whatever else the machine does, it has the time that its timers say."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_in_virtual_time(test(*args, **kwargs))

    return run


def virtual_loop() -> VirtualLoop:
    """That of a test in virtual time, which runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def run_in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` gives, at once."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
