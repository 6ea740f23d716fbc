from __future__ import annotations

import pytest

from greenline.channels.webrtc.dtmf import DIGITS, KeyEvent, press, read_event


@pytest.mark.parametrize("digit", DIGITS)
def test_a_key_press_is_read_back_with_growing_time_and_three_ends(digit: str) -> None:
    events = [read_event(payload) for payload in press(digit)]
    assert events[0] == KeyEvent(digit, is_end=False, duration=160)
    assert [event.duration for event in events if event] == [*range(160, 1281, 160), 1280, 1280, 1280]
    assert [event.is_end for event in events if event] == [False] * 8 + [True] * 3


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x0a\x00", b"\x10\x0a\x00\xa0", b"\xff\x0a\x00\xa0"])
def test_what_is_no_key_is_no_event(payload: bytes) -> None:
    assert read_event(payload) is None
