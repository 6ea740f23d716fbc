"""The parts of a phrase are put together; what is said much later is no part of it."""

import pytest

from greenline.speech.models import HEARING_RATE
from greenline.speech.sphinx import PhraseStream

FIRST, SECOND = b"\x10\x20" * HEARING_RATE, b"\x20\x10" * HEARING_RATE


async def only_both(pcm: bytes) -> str:
    return "Are you open on Saturday?" if pcm == FIRST + SECOND else ""


@pytest.mark.parametrize(("pause", "text"), [(1.0, "Are you open on Saturday?"), (3.0, "")])
async def test_who_begins_anew_does_not_go_on_with_what_was_not_understood(pause: float, text: str) -> None:
    now = 100.0
    stream = PhraseStream("embedded", only_both, lambda: now)
    texts = []
    for part in (FIRST, SECOND):
        stream.push(part)
        texts.append(await stream.finish())
        now += pause + 1.0
    assert texts == ["", text]
