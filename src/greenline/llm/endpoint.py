"""What the clients of model APIs have in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, TypeVar

import structlog

from greenline.llm.errors import ModelError
from greenline.llm.models import ModelRequest, StreamEvent
from greenline.llm.reply import ReplyBuilder
from greenline.llm.sdk import SdkClient

log = structlog.get_logger(__name__)

REST_SECONDS: Final = 1.0
"""For the usage, which comes right after the end of the answer: the last sentence is not spoken before."""
_Event = TypeVar("_Event")


class Endpoint(ABC):
    """One address of an API and all of its models; a `greenline.llm.models.Provider`."""

    def __init__(self, client: SdkClient) -> None:
        self._client = client

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._client.address.url or 'OpenAI'}>"

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._client.aclose()

    @abstractmethod
    def stream(self, request: ModelRequest, model: str) -> AsyncGenerator[StreamEvent, None]:
        """Deltas as they come (an empty one for the first sign of anything else), one `ModelReply` last.

        Raises `greenline.llm.errors.ModelError` only.
        """
        ...

    def _to_the_end(self, events: AsyncIterator[_Event], reply: ReplyBuilder) -> AsyncIterator[_Event]:
        """``events``. Once ``reply`` has ended, they only tell what it cost, and no fault of theirs is one of it.

        Raises `ModelError`.
        """
        return _ToTheEnd(self._client, events, reply)


class _ToTheEnd(AsyncIterator[_Event]):
    """No generator: who stops reading has nothing to close but ``events``."""

    def __init__(self, client: SdkClient, events: AsyncIterator[_Event], reply: ReplyBuilder) -> None:
        self._client = client
        self._events = events
        self._reply = reply

    async def __anext__(self) -> _Event:
        try:
            with self._client.errors():
                async with asyncio.timeout(REST_SECONDS if self._reply.ended else None):
                    return await anext(self._events)
        except ModelError as error:
            if not self._reply.ended:
                raise
            log.warning("model.no_usage", url=self._client.address.url, error=str(error))
            raise StopAsyncIteration from error
