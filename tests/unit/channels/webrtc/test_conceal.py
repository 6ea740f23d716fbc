from __future__ import annotations

import pytest

from greenline.channels.webrtc.conceal import FADE_SECONDS, Concealment
from support.voice import RATE, level, tone

FRAME = RATE // 50 * 2


def after(sound: bytes) -> Concealment:
    """In the pieces in which packets bring it."""
    concealment = Concealment()
    for at in range(0, len(sound), FRAME):
        concealment.hear(sound[at : at + FRAME])
    return concealment


@pytest.mark.parametrize("frequency", [80.0, 125.0, 240.0, 390.0])
def test_a_voice_goes_on_where_it_was(frequency: float) -> None:
    """What fills a hole is near to what was lost, and no click: its first samples follow those before."""
    sound = tone(0.22, frequency=frequency)
    before, lost = sound[:-FRAME], sound[-FRAME:]
    filled = after(before).fill(FRAME)
    first, missed = (memoryview(part[: FRAME // 4]).cast("h") for part in (filled, lost))
    assert max(abs(a - b) for a, b in zip(first, missed, strict=True)) < 2000
    assert level(filled) == pytest.approx(level(lost), rel=0.3)


def test_it_fades_and_then_there_is_silence() -> None:
    filled = after(tone(0.2)).fill(5 * FRAME)
    levels = [level(filled[at : at + FRAME]) for at in range(0, len(filled), FRAME)]
    assert levels[0] > levels[1] > levels[2] > 0
    assert FADE_SECONDS == 0.06
    assert levels[3:] == [0, 0]


def test_silence_stays_silence() -> None:
    assert after(bytes(10 * FRAME)).fill(FRAME) == bytes(FRAME)


def test_nothing_is_made_up_at_the_beginning() -> None:
    assert after(tone(0.02)).fill(FRAME) == bytes(FRAME)
    assert Concealment().fill(FRAME) == bytes(FRAME)
