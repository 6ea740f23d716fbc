"""Figures of calls for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

RUNNING = Gauge("greenline_calls", "Calls that this process holds, ringing ones included")
ENDED = Counter("greenline_calls_ended_total", "Calls that have ended", ["direction", "result"])
