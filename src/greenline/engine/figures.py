"""Figures of turns for Prometheus."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

TURNS: Final = Counter("greenline_turns_total", "Turns that agents took, by what they came to", ["outcome"])
