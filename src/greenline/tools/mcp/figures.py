"""Figures of MCP servers for Prometheus."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

LISTINGS: Final = Counter("greenline_mcp_listings_total", "Questions to MCP servers for their tools", ["outcome"])
CALLS: Final = Counter("greenline_mcp_calls_total", "Calls of tools of MCP servers", ["outcome"])
