"""What the phone shows of a call."""

from typing import Any

import pytest

from greenline.web.phone_call import how_it_stands, is_elsewhere


@pytest.mark.parametrize(
    ("state", "direction", "is_answering", "shown"),
    [
        ("connecting", "USER_INITIATED", True, "ringing"),
        ("ringing", "USER_INITIATED", True, "ringing"),
        ("active", "USER_INITIATED", True, "connected"),
        ("connecting", "BUSINESS_INITIATED", False, "idle"),
        ("ringing", "BUSINESS_INITIATED", False, "incoming"),
        ("ringing", "BUSINESS_INITIATED", True, "connecting"),
        ("active", "BUSINESS_INITIATED", True, "connected"),
    ],
)
def test_a_call_is_shown_as_it_stands(state: str, direction: str, is_answering: bool, shown: str) -> None:
    call = {"state": state, "direction": direction, "ended_by": None}
    assert how_it_stands(call, is_answering=is_answering) == (shown, "")


@pytest.mark.parametrize(
    ("ended_by", "shown"),
    [
        ("person", ("idle", "")),
        ("person_rejected", ("idle", "")),
        ("business_rejected", ("ended", "The business does not take calls now.")),
        ("business_silent", ("ended", "Not answered.")),
        ("something_new", ("idle", "")),
        (None, ("idle", "")),
    ],
)
def test_the_person_is_told_why_a_call_ended_that_they_did_not_end(ended_by: Any, shown: tuple[str, str]) -> None:
    call = {"state": "ended", "direction": "USER_INITIATED", "ended_by": ended_by}
    assert how_it_stands(call, is_answering=True) == shown


@pytest.mark.parametrize(
    ("state", "browsers", "browser", "elsewhere"),
    [
        ("ringing", 0, 0, False),
        ("ringing", 1, 0, False),
        ("active", 1, 0, True),
        ("active", 1, 1, False),
        ("active", 2, 1, True),
        ("active", 2, 2, False),
    ],
)
def test_the_last_window_to_join_has_the_call(state: str, browsers: int, browser: int, elsewhere: bool) -> None:
    assert is_elsewhere({"state": state, "browsers": browsers}, browser) is elsewhere
