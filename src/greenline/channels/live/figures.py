"""Figures of live conversations for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

TOTAL: Final = "total"

SILENCE = Histogram(
    "greenline_turn_silence_seconds",
    "Silence before a spoken answer: the total, and each wait of it",
    ["wait"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10),
)
RUNNING = Gauge("greenline_live_conversations", "Conversations that this process holds", ["medium"])
INTERRUPTIONS = Counter("greenline_live_interruptions_total", "Answers that a person cut short", ["medium"])


def observe(waits: Mapping[str, float]) -> None:
    """Count a spoken answer. ``waits`` are milliseconds by name, as in `TurnTimed`."""
    SILENCE.labels(TOTAL).observe(sum(waits.values()) / 1000)
    for name, milliseconds in waits.items():
        SILENCE.labels(name).observe(milliseconds / 1000)


def medium_of(*, text_only: bool) -> str:
    """The label of a conversation."""
    return "text" if text_only else "voice"
