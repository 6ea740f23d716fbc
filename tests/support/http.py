"""Plain HTTP to a server of a test."""

from __future__ import annotations

import ssl
from typing import Final

import httpx2

from support.wait import PATIENCE_SECONDS

PLAIN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody: no server of a test has TLS, and to read whom to trust takes each client 30 ms."""
_KEPT_SECONDS = 1.0
"""A connection that has rested longer is not used again: servers close theirs after 5 s, the client's own default."""


def http_client(url: str, key: str = "") -> httpx2.AsyncClient:
    """For the server at ``url``, with an API key if one is given; as patient as a busy machine needs."""
    headers = {"xi-api-key": key} if key else {}
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEPT_SECONDS)
    return httpx2.AsyncClient(
        base_url=url, headers=headers, verify=PLAIN, trust_env=False, timeout=PATIENCE_SECONDS, limits=limits
    )
