"""Tokens that a LiveKit server lets people into its rooms by: JWTs signed with the secret that both sides know."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Signer:
    """A key of the LiveKit server."""

    key: str
    secret: SecretStr

    def token(
        self, identity: str, room: str, *, now: datetime, life: timedelta, name: str = "", is_agent: bool = False
    ) -> str:
        """Lets ``identity`` join ``room`` within ``life``; who is in it may stay.

        They speak with a microphone, hear and exchange data; nothing more. ``name`` is shown to the others.
        """
        video: dict[str, Any] = {
            "roomJoin": True,
            "room": room,
            "canPublish": True,
            "canPublishSources": ["microphone"],
            "canPublishData": True,
            "canSubscribe": True,
        }
        claims: dict[str, Any] = {
            "iss": self.key,
            "sub": identity,
            "nbf": int(now.timestamp()),
            "exp": int((now + life).timestamp()),
            "video": video,
        }
        if name:
            claims["name"] = name
        if is_agent:
            claims["kind"] = "agent"
        signed = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
        digest = hmac.digest(self.secret.get_secret_value().encode(), signed.encode(), hashlib.sha256)
        return f"{signed}.{_base64(digest)}"


def _encode(part: dict[str, Any]) -> str:
    return _base64(orjson.dumps(part))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
