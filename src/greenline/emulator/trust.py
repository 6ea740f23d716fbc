"""Whom clients of the emulator trust."""

from __future__ import annotations

import ssl
from functools import cache

import httpx2


@cache
def trust() -> ssl.SSLContext:
    """Read once: that takes 30 ms, and every emulator has two clients."""
    return httpx2.create_ssl_context(trust_env=False)
