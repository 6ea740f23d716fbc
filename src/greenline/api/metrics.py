"""Figures for Prometheus, at ``/metrics``. Rooms define their own beside the code that counts."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, Gauge, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import Response

REQUESTS = Histogram(
    "greenline_http_request_seconds",
    "Time to answer, by the route's template",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
CONNECTIONS = Gauge("greenline_database_connections", "Connections of the pool", ["state"])


async def metrics(request: Request) -> Response:
    """What this process has counted since its start."""
    pool = request.app.state.services.pool
    CONNECTIONS.labels("idle").set(pool.get_idle_size())
    CONNECTIONS.labels("busy").set(pool.get_size() - pool.get_idle_size())
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
