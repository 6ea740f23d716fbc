from __future__ import annotations

import asyncio
from pathlib import Path
from threading import get_native_id

import pytest
from structlog.testing import capture_logs

from greenline.channels.live.patterns import Patterns
from support.wait import eventually

ENDLESS = (r"(\w+\s?)+$", "a" * 35 + "!")


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^cof+ee$", "coffee", True),
        ("off", "coffee", True),
        ("^off", "coffee", False),
        (r"(?<=ö)l\b", "Öl, öl", True),
        (r"(.)\1", "abc", False),
        ("\ud800", "a\ud800", True),
        ("a$", "a" * 200_000, True),
        ("(", "(", False),
        ("(" * 5_000, "(", False),
        ("a{99999999999999999999}", "a", False),
    ],
    ids=lambda value: ascii(value)[:20],
)
async def test_a_pattern_is_searched_for_as_python_does(pattern: str, text: str, found: bool) -> None:
    with capture_logs() as logs:
        assert await Patterns().found(pattern, text) is found
    assert not logs


async def test_a_pattern_that_never_ends_is_not_found_and_others_go_on() -> None:
    patterns = Patterns(at_once=2)
    with capture_logs() as logs:
        endless = asyncio.create_task(patterns.found(*ENDLESS))
        assert await patterns.found("e", "tea")
        assert not await endless
    assert [(entry["event"], entry["pattern"]) for entry in logs] == [("pattern.too_slow", ENDLESS[0])]


def children() -> set[str]:
    """The processes that the thread of the test has started and that have not ended."""
    return set(Path(f"/proc/self/task/{get_native_id()}/children").read_text().split())


async def test_nothing_goes_on_when_nobody_waits() -> None:
    before = children()
    endless = asyncio.create_task(Patterns().found(*ENDLESS))
    await eventually(lambda: children() > before)
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless
    assert children() == before


async def test_no_more_are_matched_at_once_than_there_is_room_for() -> None:
    before, most = children(), 0
    patterns = Patterns(at_once=2)
    found = [asyncio.create_task(patterns.found("e", "tea")) for _ in range(20)]
    while not all(task.done() for task in found):
        most = max(most, len(children() - before))
        await asyncio.sleep(0)
    assert [task.result() for task in found] == [True] * 20
    assert most == 2


async def test_one_has_its_turn_when_another_is_done_or_nobody_waits_for_it() -> None:
    before = children()
    patterns = Patterns(at_once=1)
    endless = asyncio.create_task(patterns.found(*ENDLESS))
    await eventually(lambda: children() > before)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await patterns.found("e", "tea")
    waiting = asyncio.create_task(patterns.found("e", "tea"))
    assert not await endless
    assert await waiting
    cut = asyncio.create_task(patterns.found(*ENDLESS))
    await eventually(lambda: children() > before)
    cut.cancel()
    assert await patterns.found("e", "tea")
    assert children() == before
