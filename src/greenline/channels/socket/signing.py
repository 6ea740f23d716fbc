"""Signed URLs: a server with the key lets a client without one start a conversation (reference: Authentication)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from greenline.channels.socket.errors import Refused
from greenline.clock import Clock
from greenline.store.vault import SecretUnreadable, Vault

LIFE: Final = timedelta(minutes=15)
"""Reference: the time in which a conversation must be started; one that runs is not cut."""
PATH: Final = "/v1/convai/conversation"
_CONTEXT: Final = "conversation_signature"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signed URL allows: a conversation with this agent, at the branch, version and environment named.

    With ``conversation_id`` it starts exactly that conversation, and so works once.
    """

    workspace_id: str
    agent_id: str
    branch_id: str | None = None
    version_id: str | None = None
    environment: str | None = None
    conversation_id: str | None = None
    debug: bool = False
    """Whether the client is told where the server failed."""


def seal(vault: Vault, clock: Clock, signature: Signature) -> str:
    """The token of a signed URL, good for `LIFE`."""
    expires = int((clock.now() + LIFE).timestamp())
    named = {name: value for name, value in asdict(signature).items() if value}
    text = orjson.dumps([expires, named]).decode()
    return base64.urlsafe_b64encode(vault.seal(text, _CONTEXT)).rstrip(b"=").decode()


def unseal(vault: Vault, clock: Clock, token: str) -> Signature:
    """What ``token`` allows. Raises `greenline.channels.socket.errors.Refused`."""
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        expires, fields = orjson.loads(vault.open(sealed, _CONTEXT))
    except (binascii.Error, ValueError, SecretUnreadable):
        raise Refused("The conversation signature is not valid. Get a new signed URL.") from None
    if clock.now().timestamp() > expires:
        raise Refused("The signed URL has expired. Get a new one: it must be used within 15 minutes.")
    return Signature(**fields)


def signed_url(base_url: str, token: str, signature: Signature) -> str:
    """The URL of the socket for a server that is reached under ``base_url`` (``http`` or ``https``)."""
    query: dict[str, Any] = {"agent_id": signature.agent_id, "conversation_signature": token}
    if signature.conversation_id is not None:
        query["conversation_id"] = signature.conversation_id
    return f"ws{base_url.rstrip('/').removeprefix('http')}{PATH}?{urlencode(query)}"
