"""Identifiers in the reference's style: a type prefix and 26 opaque characters, sortable by creation time."""

from __future__ import annotations

import hashlib
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def _encode(number: int, length: int) -> str:
    return "".join(_ALPHABET[(number >> 5 * place) & 31] for place in reversed(range(length)))


def new_id(prefix: str) -> str:
    """``prefix`` (``agent``, ``conv``, ``agtvrsn``...), 48 bits of milliseconds and 80 random bits."""
    return f"{prefix}_{_encode(time.time_ns() // 1_000_000, 10)}{_encode(secrets.randbits(80), 16)}"


def derived_id(prefix: str, *parts: object) -> str:
    """The same id for the same parts: what a turn makes keeps its id when the turn is resumed after a crash."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return f"{prefix}_{_encode(int.from_bytes(digest[:17]) >> 6, 26)}"
