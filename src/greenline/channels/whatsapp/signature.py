"""Proof that a webhook comes from Meta, and the handshake by which Meta checks a callback (Meta: Webhooks)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

_HEADER = re.compile(r"sha256=([0-9a-f]{64})")


def is_signed(body: bytes, header: str | None, secrets: Iterable[str]) -> bool:
    """Whether ``X-Hub-Signature-256`` is the signature of exactly these bytes by one of the app secrets.

    Every secret is tried, in constant time each. A missing or malformed header is no signature.
    """
    found = _HEADER.fullmatch(header or "")
    if found is None:
        return False
    signature, valid = bytes.fromhex(found[1]), False
    for secret in secrets:
        valid |= hmac.compare_digest(hmac.digest(secret.encode(), body, hashlib.sha256), signature)
    return valid


def answer_handshake(query: Mapping[str, str], verify_token: str | None) -> str | None:
    """The challenge to send back as the whole body; None when the request must be refused with 403."""
    token = query.get("hub.verify_token", "")
    if not verify_token or query.get("hub.mode") != "subscribe":
        return None
    if not hmac.compare_digest(token.encode(errors="replace"), verify_token.encode()):
        return None
    return query.get("hub.challenge")
