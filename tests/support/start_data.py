"""A webhook that brings start data, and what an agent needs to ask it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from support.scripted import Answer, ScriptedServer, answer, scripted


@contextlib.asynccontextmanager
async def start_webhook(*, reply: Answer | None = None, **data: Any) -> AsyncIterator[ScriptedServer]:
    """Brings ``data``, or answers with ``reply``."""
    body = {"type": "conversation_initiation_client_data", **data}
    async with scripted(lambda request: reply or answer(body)) as server:
        yield server


def asks(url: str | None = None, *, headers: dict[str, Any] | None = None, **overrides: Any) -> dict[str, Any]:
    """Blocks of ``platform_settings`` of an agent that has start data from a webhook, its own one at ``url``."""
    platform: dict[str, Any] = {
        "overrides": {"enable_conversation_initiation_client_data_from_webhook": True, **overrides}
    }
    if url is not None:
        own = {"url": url, "request_headers": headers or {}}
        platform["workspace_overrides"] = {"conversation_initiation_client_data_webhook": own}
    return platform
