"""Vendors whose chat completions take no documents, while their own APIs do."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import TypeAlias

from greenline.llm import anthropic, gemini
from greenline.llm.models import ModelRequest, StreamEvent
from greenline.llm.openai import ChatCompletions
from greenline.llm.parts import carries_documents, unless_refused
from greenline.llm.sdk import SdkClient
from greenline.llm.traits import Traits

OwnApi: TypeAlias = anthropic.AnthropicMessages | gemini.GeminiContents


def own_api(provider: str, api_key: str, *, traits: Callable[[str], Traits], seconds: float) -> OwnApi | None:
    """The API of ``provider`` that takes documents, where its chat completions take none."""
    if provider == "anthropic":
        client = SdkClient(anthropic.address(api_key), seconds=seconds)
        return anthropic.AnthropicMessages(client, traits=traits)
    if provider == "gemini":
        return gemini.GeminiContents(SdkClient(gemini.address(api_key), seconds=seconds), traits=traits)
    return None


class ReadsDocuments:
    """Asks by the vendor's own API when a document is among what is asked, else by chat completions.

    Chat completions are asked as well when the own API refuses: with the names of the documents.
    """

    def __init__(self, plain: ChatCompletions, own: OwnApi) -> None:
        self._plain = plain
        self._own = own

    def __repr__(self) -> str:
        return f"<ReadsDocuments {self._plain!r} {self._own!r}>"

    async def aclose(self) -> None:
        """Close the kept connections of both."""
        await self._plain.aclose()
        await self._own.aclose()

    async def stream(self, request: ModelRequest, model: str) -> AsyncGenerator[StreamEvent, None]:
        """Deltas as they come, one `ModelReply` last. Raises `ModelError` only."""
        plainly = partial(self._plain.stream, request, model)
        if carries_documents(request):
            generate = unless_refused(self._own.stream(request, model), plainly, request.model)
        else:
            generate = plainly()
        async with contextlib.aclosing(generate) as events:
            async for event in events:
                yield event
