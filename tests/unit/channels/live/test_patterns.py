from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from greenline.channels.live.patterns import matches
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
        assert await matches(pattern, text) is found
    assert not logs


async def test_a_pattern_that_never_ends_is_not_found_and_others_go_on() -> None:
    with capture_logs() as logs:
        endless = asyncio.create_task(matches(*ENDLESS))
        assert await matches("e", "tea")
        assert not await endless
    assert [(entry["event"], entry["pattern"]) for entry in logs] == [("pattern.too_slow", ENDLESS[0])]


def children() -> set[str]:
    return {child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()}


async def test_nothing_goes_on_when_nobody_waits() -> None:
    before = children()
    endless = asyncio.create_task(matches(*ENDLESS))
    await eventually(lambda: children() > before)
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless
    assert children() == before
