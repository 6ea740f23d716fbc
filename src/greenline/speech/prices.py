"""What speech costs, from ``prices.toml``. Prices are data with a date; an unknown price is said to be unknown."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from greenline.speech.usage import SpeechUsage

_MINUTE: Final = 60.0
_CHARACTERS: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class SpeechPrice:
    """US dollars; None where it is not charged so. ``on`` is when it was read."""

    name: str
    on: str
    minute: float | None = None
    recording: float | None = None
    characters: float | None = None


def usage_price(usage: SpeechUsage) -> float | None:
    """US dollars for all of it; None when the price of something is not known."""
    parts = [
        _sum(usage.heard_seconds, lambda price: price.minute, _MINUTE),
        _sum(usage.transcribed_seconds, _of_recording, _MINUTE),
        _sum(_by_character(usage.spoken_characters), lambda price: price.characters, _CHARACTERS),
        _sum(_by_minute(usage), lambda price: price.minute, _MINUTE),
    ]
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def price_of(name: str) -> SpeechPrice | None:
    """The price of ``provider:model``, if it is known."""
    for price in _prices():
        if price.name == name or (price.name.endswith("*") and name.startswith(price.name[:-1])):
            return price
    return None


def _of_recording(price: SpeechPrice) -> float | None:
    return price.minute if price.recording is None else price.recording


def _by_character(spoken: Mapping[str, float]) -> Mapping[str, float]:
    """Voices that charge for text, and those of which nothing is known."""
    return {
        name: count for name, count in spoken.items() if (price := price_of(name)) is None or price.minute is None
    }


def _by_minute(usage: SpeechUsage) -> Mapping[str, float]:
    """Voices that charge for the time they speak."""
    priced = ((name, seconds, price_of(name)) for name, seconds in usage.spoken_seconds.items())
    return {name: seconds for name, seconds, price in priced if price is not None and price.minute is not None}


def _sum(counts: Mapping[str, float], rate: Callable[[SpeechPrice], float | None], unit: float) -> float | None:
    total = 0.0
    for name, count in counts.items():
        price = price_of(name)
        each = None if price is None else rate(price)
        if each is None:
            return None
        total += count / unit * each
    return total


@cache
def _prices() -> tuple[SpeechPrice, ...]:
    text = resources.files(__package__ or "").joinpath("prices.toml").read_text(encoding="utf-8")
    return tuple(SpeechPrice(**row) for row in tomllib.loads(text)["prices"])
