"""What Meta charges for calls."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from greenline.channels.whatsapp.calls.prices import call_price
from greenline.settings import Settings

RATES = {"1": 0.6, "1876": 6.0, "49": 1.2}


@pytest.mark.parametrize(("seconds", "price"), [(0, 0.0), (1, 0.06), (6, 0.06), (7, 0.12), (60, 0.6), (61, 0.66)])
def test_begun_pulses_of_six_seconds_count(seconds: int, price: float) -> None:
    assert call_price(seconds, "15551230000", RATES) == pytest.approx(price)


def test_the_longest_digits_that_fit_count() -> None:
    assert call_price(60, "18765550000", RATES) == pytest.approx(6.0)


@pytest.mark.parametrize("phone", ["33123", None])
def test_without_a_rate_the_price_is_unknown_and_never_nothing(phone: str | None) -> None:
    assert call_price(60, phone, RATES) is None
    assert call_price(60, phone, {**RATES, "*": 3.0}) == pytest.approx(3.0)


@pytest.mark.parametrize("rates", [{"US": 0.1}, {"+1": 0.1}, {"": 0.1}, {"1": -0.1}])
def test_rates_that_say_nothing_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Settings(call_prices=rates)
