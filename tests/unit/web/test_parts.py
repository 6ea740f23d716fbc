"""The time zone of a browser."""

from datetime import UTC, datetime, timedelta

import pytest

from greenline.web.parts import zone_of

JULY, NOVEMBER = datetime(2026, 7, 1, 10, tzinfo=UTC), datetime(2026, 11, 30, 10, tzinfo=UTC)


def test_a_time_of_summer_is_told_in_summer_time_though_it_is_winter() -> None:
    zone = zone_of("Europe/Berlin", -60)
    assert JULY.astimezone(zone).hour == 12
    assert NOVEMBER.astimezone(zone).hour == 11


@pytest.mark.parametrize("name", [None, "", "Nowhere/Town", "../../etc/passwd", "Europe", "a\0b"])
def test_a_zone_without_a_known_name_has_the_distance_of_now(name: object) -> None:
    assert JULY.astimezone(zone_of(name, -330)).utcoffset() == timedelta(hours=5, minutes=30)
