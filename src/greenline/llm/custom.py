"""An agent's own model (reference: ``custom_llm``). Whoever edits the agent chooses its address."""

from __future__ import annotations

from typing import Final

import httpx2

from greenline.llm.errors import ModelError
from greenline.llm.models import CustomLlm, Provider
from greenline.llm.openai import ChatCompletions
from greenline.llm.responses import Responses
from greenline.llm.sdk import Address, SdkClient

EXTRA_BODY: Final = "elevenlabs_extra_body"
"""Reference: the field that carries ``custom_llm_extra_body`` of the conversation's start data."""
_PATHS: Final = ("/chat/completions", "/responses")


def custom_provider(custom: CustomLlm | None, http: httpx2.AsyncClient, *, seconds: float) -> Provider:
    """The endpoint of an agent, reached through ``http``. Raises `ModelError` of kind configuration."""
    if custom is None:
        raise ModelError("configuration", "the agent's llm is custom-llm, but it has no custom_llm.url")
    if custom.api_type == "websocket":
        raise ModelError(
            "configuration",
            "custom_llm.api_type websocket has no published protocol; use chat_completions or responses",
        )
    address = Address(
        url=_base_url(custom.url),
        api_key=custom.api_key,
        headers=custom.headers,
        query={"api-version": custom.api_version} if custom.api_version else {},
    )
    client = SdkClient(address, http=http, seconds=seconds)
    if custom.api_type == "responses":
        return Responses(client, extra_body_key=EXTRA_BODY)
    return ChatCompletions(client, extra_body_key=EXTRA_BODY)


def _base_url(url: str) -> str:
    """``url`` without the path that the API itself adds: people give either."""
    try:
        parsed = httpx2.URL(url.strip())
    except httpx2.InvalidURL as error:
        raise ModelError("configuration", f"custom_llm.url is no address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ModelError("configuration", "custom_llm.url must begin with https:// or http:// and name a host")
    path = parsed.path.rstrip("/")
    for suffix in _PATHS:
        path = path.removesuffix(suffix)
    return str(parsed.copy_with(path=path or "/"))
