"""Plain HTTP to a server of a test."""

from __future__ import annotations

import httpx2

from support.wait import PATIENCE_SECONDS


def http_client(url: str, key: str = "") -> httpx2.AsyncClient:
    """For the server at ``url``, with an API key if one is given; as patient as a busy machine needs."""
    headers = {"xi-api-key": key} if key else {}
    return httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=PATIENCE_SECONDS)
