"""Tokens and their prices in the reference's shape, of one turn or of a whole conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from pydantic import BaseModel

CATEGORIES: Final = {
    "input": "input",
    "cache_read": "input_cache_read",
    "cache_write": "input_cache_write",
    "output": "output_total",
}
"""Our names of token counts, and the reference's."""


class Prices(Protocol):
    """What tokens cost."""

    def __call__(self, model: str, usage: Mapping[str, int]) -> Mapping[str, float] | None:
        """US dollars for each category of ``usage``; None where the price of the model is not known."""
        ...


def no_prices(model: str, usage: Mapping[str, int]) -> None:
    """For readers who want no prices."""
    return


class TokenUsage(BaseModel):
    """Tokens of one category; ``price`` in US dollars, null where it is not known."""

    tokens: int = 0
    price: float | None = None


class ModelUsage(BaseModel):
    """Tokens that one model took and gave."""

    input: TokenUsage
    input_cache_read: TokenUsage
    input_cache_write: TokenUsage
    output_total: TokenUsage


class LlmUsage(BaseModel):
    """Tokens by model."""

    model_usage: dict[str, ModelUsage]


def add_usage(
    counts: Mapping[str, Mapping[str, int]], more: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """The tokens of both, by model and under our names."""
    found = {model: dict(usage) for model, usage in counts.items()}
    for model, usage in more.items():
        before = found.setdefault(model, {})
        before.update({name: before.get(name, 0) + count for name, count in usage.items()})
    return found


def llm_usage(counts: Mapping[str, Mapping[str, int]], prices: Prices) -> LlmUsage:
    """The usage of models by name, each with counts under our names."""
    return LlmUsage(model_usage={model: _model_usage(model, usage, prices) for model, usage in counts.items()})


def total_price(usage: LlmUsage) -> float | None:
    """US dollars in all; None when the price of a model that was used is not known."""
    used = [
        category
        for model in usage.model_usage.values()
        for category in (model.input, model.input_cache_read, model.input_cache_write, model.output_total)
        if category.tokens
    ]
    known = [category.price for category in used if category.price is not None]
    return sum(known) if len(known) == len(used) else None


def whole_price(usage: LlmUsage, speech: float | None, call: float | None) -> float | None:
    """US dollars for models, speech and a call of the business; None when one of them is not known."""
    models = total_price(usage)
    return None if models is None or speech is None or call is None else models + speech + call


def _model_usage(model: str, usage: Mapping[str, int], prices: Prices) -> ModelUsage:
    found = prices(model, usage)
    return ModelUsage(
        **{
            name: TokenUsage(tokens=usage.get(ours, 0), price=None if found is None else found.get(ours, 0.0))
            for ours, name in CATEGORIES.items()
        }
    )
