"""Figures of turns for Prometheus."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from prometheus_client import Counter

CameTo: TypeAlias = Literal["answered", "failed"]

TURNS: Final = Counter("greenline_turns_total", "Turns that agents took, by what they came to", ["outcome"])
"""Counted by the channels, once a turn is settled: one may be run again, or be made for nothing."""
