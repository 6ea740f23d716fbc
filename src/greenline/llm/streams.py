"""Streams of the ``openai`` SDK that tell whether they were ended or cut off.

Import it where `greenline.llm.sdk.load_sdk` has: the SDK takes about a second.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

from openai import AsyncStream
from openai._streaming import ServerSentEvent  # it has no public name
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

_Chunk = TypeVar("_Chunk")


class MarkedStream(AsyncStream[_Chunk]):
    """For ``parse(to=...)`` of a raw response.

    ``done`` is whether ``[DONE]`` has come, which the SDK takes for itself: of some endpoints it is the only word for
    the end of an answer.
    """

    done = False

    async def _iter_events(self) -> AsyncIterator[ServerSentEvent]:
        async for event in super()._iter_events():
            self.done = self.done or event.data.startswith("[DONE]")
            yield event


ChatStream = MarkedStream[ChatCompletionChunk]
ResponseStream = MarkedStream[ResponseStreamEvent]
