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
        """``events``, each of which is added to ``reply`` before the next is asked for.

        Once it has ended, they only tell what it cost: that is not waited for long, and no fault of theirs is one of
        the reply. Raises `ModelError`.
        """
        return _ToTheEnd(self._client, events, reply)


class _ToTheEnd(AsyncIterator[_Event]):
    """No generator: who stops reading has nothing to close but ``events``."""

    def __init__(self, client: SdkClient, events: AsyncIterator[_Event], reply: ReplyBuilder) -> None:
        self._client = client
        self._events = events
        self._reply = reply
        self._pieces = 0
        """Of the reply, before the event that was given last."""
        self._ended = False
        self._over_by: float | None = None

    async def __anext__(self) -> _Event:
        self._look()
        try:
            with self._client.errors():
                async with asyncio.timeout_at(self._over_by):
                    return await anext(self._events)
        except ModelError as error:
            if self._over_by is None:
                raise
            log.warning("model.no_usage", url=self._client.address.url, error=str(error))
            raise StopAsyncIteration from error

    def _look(self) -> None:
        """Whether the last event was the end, and not one of an endpoint that tells of an end with each piece."""
        before, self._pieces = self._pieces, self._reply.pieces
        brought = self._pieces - before
        if self._reply.ended and not self._ended:
            self._ended = True
            if before or not brought:
                self._over_by = asyncio.get_running_loop().time() + REST_SECONDS
        elif brought:
            self._over_by = None
