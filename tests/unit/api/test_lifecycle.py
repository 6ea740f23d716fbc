"""Leaving in order: the last part that started stops first, and all share one time."""

from __future__ import annotations

import asyncio

from greenline.api.lifecycle import Lifecycle


class Part:
    """A part that takes a while to stop."""

    def __init__(self, name: str, takes: float, stopped: list[tuple[str, float]]) -> None:
        self._name = name
        self._takes = takes
        self._stopped = stopped

    def start(self) -> None:
        """Nothing to begin."""

    async def stop(self, seconds: float) -> None:
        self._stopped.append((self._name, seconds))
        await asyncio.sleep(min(self._takes, seconds))

    def state(self) -> dict[str, bool]:
        return {self._name: True}


async def test_parts_stop_in_reverse_within_one_time() -> None:
    stopped: list[tuple[str, float]] = []
    lifecycle = Lifecycle(workers=[Part("first", 0, stopped), Part("second", 60, stopped), Part("third", 0, stopped)])
    await lifecycle.drain(0.05)
    assert lifecycle.draining
    assert [name for name, _ in stopped] == ["third", "second", "first"]
    assert stopped[1][1] > 0
    assert stopped[2][1] == 0


async def test_a_second_call_waits_for_nothing() -> None:
    stopped: list[tuple[str, float]] = []
    lifecycle = Lifecycle(workers=[Part("only", 60, stopped)])
    first = asyncio.create_task(lifecycle.drain(60))
    await asyncio.sleep(0)
    await lifecycle.drain(60)
    first.cancel()
    assert stopped[1] == ("only", 0.0)


async def test_sessions_end_before_anything_else_in_a_time_of_their_own() -> None:
    stopped: list[tuple[str, float]] = []
    calls, sockets = Part("calls", 0.02, stopped), Part("sockets", 0.02, stopped)
    lifecycle = Lifecycle(workers=[Part("worker", 0, stopped)], sessions=[calls, sockets])
    await lifecycle.drain(0.05)
    assert [name for name, _ in stopped] == ["calls", "sockets", "worker"]
    assert stopped[2][1] > 0.04
    assert lifecycle.parts[1:] == (calls, sockets)
