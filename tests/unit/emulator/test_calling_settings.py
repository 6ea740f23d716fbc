"""The calling settings of a number: what is taken, what is refused, and when a person can call."""

from datetime import UTC, datetime
from typing import Any

import pytest

from greenline.emulator.calls.calling import calling, change_calling, g711, may_use_graph, shown_calling, why_closed
from greenline.emulator.errors import MetaError
from greenline.emulator.world import Number

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC).timestamp()
HOUR = 3600.0


@pytest.fixture
def number() -> Number:
    return Number("1", "2", "+1 555-0100", "Fern", settings={"calling": {"status": "ENABLED"}})


def change(number: Number, body: dict[str, Any]) -> bool:
    return change_calling(number, body, MONDAY, lambda media: media == "greeting")


def on_monday(*spans: tuple[str, str], **changes: Any) -> dict[str, Any]:
    days = [{"day_of_week": "MONDAY", "open_time": begin, "close_time": end} for begin, end in spans]
    return {"status": "ENABLED", "timezone_id": "Europe/Paris", "weekly_operating_hours": days, **changes}


def hours(**changes: Any) -> dict[str, Any]:
    return on_monday(("0900", "1200"), ("1300", "1800"), **changes)


def holiday(day: str) -> dict[str, str]:
    return {"date": day, "start_time": "0000", "end_time": "2359"}


def test_calling_is_off_at_first() -> None:
    new = Number("1", "2", "+1 555-0100", "Fern")
    assert calling(new) == {"status": "DISABLED"}
    assert why_closed(new, MONDAY) == "The business takes no calls."
    with pytest.raises(MetaError, match="#138000"):
        may_use_graph(new)


def test_a_change_leaves_the_rest_and_tells_whether_meta_speaks_of_it(number: Number) -> None:
    assert not change(number, {"audio": {"additional_codecs": ["PCMA"]}})
    assert change(number, {"call_icon_visibility": "DISABLE_ALL"})
    assert not change(number, {"call_icon_visibility": "DISABLE_ALL"})
    assert (g711(number), calling(number)["status"]) == (("PCMA",), "ENABLED")
    assert why_closed(number, MONDAY) is None, "hiding the button is not refusing"


@pytest.mark.parametrize(
    ("wrong", "details"),
    [
        ({"status": "enabled"}, "calling.status"),
        ({"color": "red"}, "calling.color"),
        ({"srtp_key_exchange_protocol": "SDES"}, "srtp_key_exchange_protocol"),
        ({"call_icons": {"restrict_to_user_countries": ["usa"]}}, "restrict_to_user_countries"),
        ({"audio": {"additional_codecs": ["G722"]}}, "additional_codecs"),
        ({"sip": {"status": "ENABLED", "servers": []}}, "needs a server"),
        ({"voicemail": {"status": "ENABLED", "audio": {"default": {"timeout_seconds": 31}}}}, "voicemail"),
        ({"voicemail": {"status": "ENABLED", "audio": {"default": {"announcement_media_id": "7"}}}}, "no file"),
        ({"call_hours": hours(timezone_id="Mars/Base")}, "no time zone"),
        ({"call_hours": hours(weekly_operating_hours=[])}, "must not be empty"),
        ({"call_hours": on_monday(("1800", "0900"))}, "before close_time"),
        ({"call_hours": on_monday(("0900", "1200"), ("1100", "1300"))}, "overlap"),
        ({"call_hours": on_monday(("0100", "0200"), ("0300", "0400"), ("0500", "0600"))}, "more than two"),
        ({"call_hours": hours(holiday_schedule=[holiday("2026-11-22")])}, "is over"),
        ({"call_hours": hours(holiday_schedule=[holiday("2027-01-01")] * 21)}, "at most 20"),
    ],
)
def test_what_is_refused_stays_as_it_was(number: Number, wrong: dict[str, Any], details: str) -> None:
    with pytest.raises(MetaError, match=details) as caught:
        change(number, wrong)
    assert caught.value.code == 100
    assert calling(number) == {"status": "ENABLED"}


def test_people_call_within_the_hours_of_the_number(number: Number) -> None:
    change(number, {"call_hours": hours()})
    open_at = [why_closed(number, MONDAY + hour * HOUR) is None for hour in (-1.5, 0, 2.5, 4, 9, 24)]
    assert open_at == [False, True, False, True, False, False]
    change(number, {"call_hours": hours(status="DISABLED")})
    assert why_closed(number, MONDAY + 24 * HOUR) is None


def test_a_holiday_closes_until_it_is_left_out(number: Number) -> None:
    change(number, {"call_hours": hours(holiday_schedule=[holiday("2026-11-23")])})
    assert why_closed(number, MONDAY) == "The business takes no calls at this hour."
    change(number, {"call_hours": hours()})
    assert why_closed(number, MONDAY) is None


def test_sip_mode_excludes_the_graph(number: Number) -> None:
    sip = {"status": "ENABLED", "servers": [{"hostname": "sip.fern.example"}]}
    assert change(number, {"sip": sip})
    with pytest.raises(MetaError, match="#131055"):
        may_use_graph(number)
    assert "SIP" in str(why_closed(number, MONDAY))
    assert "sip_user_password" not in str(shown_calling(number, with_credentials=False))
    shown = shown_calling(number, with_credentials=True)
    assert shown["sip"]["servers"][0]["sip_user_password"]
    assert shown == shown_calling(number, with_credentials=True)


def test_voicemail_and_call_hours_exclude_each_other(number: Number) -> None:
    greeting = {"default": {"announcement_media_id": "greeting", "timeout_seconds": 20}}
    change(number, {"voicemail": {"status": "ENABLED", "triggers": ["REJECT"], "audio": greeting}})
    with pytest.raises(MetaError, match="call_hours off first"):
        change(number, {"call_hours": hours()})
