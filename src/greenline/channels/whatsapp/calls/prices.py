"""What Meta charges for a call (Meta: Calling, Pricing). Calls that people make are free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PULSE_SECONDS: Final = 6
"""Meta counts in pulses of this length, the last one as a whole."""
PULSES_PER_MINUTE: Final = 60 // PULSE_SECONDS
ANYWHERE: Final = "*"
"""Key of the rate for countries that have none of their own."""


def call_price(seconds: int, phone: str | None, rates: Mapping[str, float]) -> float | None:
    """US dollars for a call of the business that was answered; None where the rate is not known.

    ``phone`` is the person's number in digits, unknown where Meta gives only a user id. ``rates`` are US dollars a
    minute by the first digits of numbers, of which the longest that fit count.
    """
    rate = _rate(phone or "", rates)
    pulses = -(-seconds // PULSE_SECONDS)
    return None if rate is None else round(pulses * rate / PULSES_PER_MINUTE, 6)


def _rate(phone: str, rates: Mapping[str, float]) -> float | None:
    fitting = [prefix for prefix in rates if prefix != ANYWHERE and phone.startswith(prefix)]
    return rates.get(max(fitting, key=len) if fitting else ANYWHERE)
