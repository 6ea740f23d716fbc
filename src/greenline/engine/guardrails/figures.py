"""Figures of guardrails for Prometheus."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

CHECKS: Final = Counter(
    "greenline_guardrail_checks_total",
    "Guardrails that were judged, by what came of it: passed, triggered or failed",
    ["type", "result"],
)
JUDGED_AFTER: Final = Histogram(
    "greenline_guardrail_judge_seconds",
    "Time until a judge had answered, failed ones included",
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
)
