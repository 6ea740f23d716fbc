"""Callbacks that a Graph call names: they are proven by the handshake before webhooks go there."""

from __future__ import annotations

from typing import Any, Final

from greenline.emulator.checks import is_address
from greenline.emulator.errors import MetaError
from greenline.emulator.webhooks import Webhooks

LONGEST_URL: Final = 200  # Meta: Webhook overrides


async def prove(webhooks: Webhooks, url: Any, verify_token: object, *, code: int = 100) -> str:
    """The callback, when it has answered the handshake. Raises `MetaError` with ``code``."""
    if not is_address(url):
        raise MetaError(code, "The callback must be an http or https address.", status=400)
    if len(url) > LONGEST_URL:
        raise MetaError(code, f"The callback is longer than {LONGEST_URL} characters.", status=400)
    result = await webhooks.verify(url, str(verify_token or ""))
    if not result["ok"]:
        raise MetaError(code, f"Callback verification failed: {result}", status=400)
    return str(url)
