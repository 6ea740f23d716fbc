"""What tokens cost, from the catalog. Prices are data with a date; an unknown price is said to be unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from greenline.llm.catalog import OFFLINE, ModelInfo, home, info_at

MILLION: Final = 1_000_000


def token_prices(model: str, usage: Mapping[str, int]) -> Mapping[str, float] | None:
    """US dollars for the counts of ``usage`` (``input``, ``output``, ``cache_read``, ``cache_write``).

    ``model`` is a ``producing_llm``. None when the price of any of its tokens is not known; the offline model is
    free. Rates for long prompts, which some providers raise, are not told apart: there the figure is too low.
    """
    if model == OFFLINE:
        return dict.fromkeys(usage, 0.0)
    info = _info(model)
    if info is None or info.price is None:
        return None
    rates = {
        "input": info.price.input,
        "output": info.price.output,
        "cache_read": info.price.read,
        "cache_write": info.price.write,
    }
    costs = {}
    for category, tokens in usage.items():
        rate = rates.get(category)
        if rate is None and tokens:
            return None
        costs[category] = tokens * (rate or 0.0) / MILLION
    return costs


def _info(model: str) -> ModelInfo | None:
    provider, colon, name = model.partition(":")
    if colon:
        return info_at(provider, name)
    place = home(model)
    return info_at(place.provider, place.model) if place else None
