"""A reply that is put together from what an endpoint streams, the same for every protocol."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

import orjson

from greenline.llm.calls import StreamedText
from greenline.llm.errors import ModelError
from greenline.llm.models import ModelReply, ReasoningDelta, TextDelta, ToolCall, Usage
from greenline.text import clean_data

CUT_OFF: Final = "the stream ended before the answer did"
"""Half of an answer looks like a whole one; each protocol has a word for its end."""


class ReplyBuilder(ABC):
    """Text, usage and times of one reply. A protocol's own builder reads its events and gathers the calls."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._first: float | None = None
        self._text: list[str] = []
        self._said, self._thought = StreamedText(), StreamedText()
        self._usage = Usage()
        self._refused = ""
        self._metadata: dict[str, Any] = {}
        self.ended = False
        """Whether the endpoint has told that the reply is all there."""
        self.pieces = 0
        """Of words, thought and calls."""

    @abstractmethod
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls of the whole reply. Raises `ModelError` for arguments that are no JSON object."""

    def _say(self, piece: str) -> TextDelta:
        self._live()
        self._text.append(self._said.add(piece))
        return TextDelta(self._text[-1])

    def _think(self, piece: str) -> ReasoningDelta:
        self._live()
        return ReasoningDelta(self._thought.add(piece))

    def _note(self, metadata: Any) -> None:
        """Objects that the endpoint has for the client, besides words; what a frame can't hold is passed over."""
        if isinstance(metadata, Mapping):
            cleaned: dict[str, Any] = clean_data(dict(metadata))
            self._metadata.update({name: value for name, value in cleaned.items() if _fits_json(value)})

    def _live(self) -> TextDelta:
        """Note a sign of life; gives the empty text that tells of one."""
        self.pieces += 1
        if self._first is None:
            self._first = time.perf_counter() - self._begun
        return TextDelta("")

    def whole(self, model: str) -> ModelReply:
        """The reply. Raises `ModelError` when the model said nothing, refused to, or was cut off while it spoke."""
        seconds = time.perf_counter() - self._begun
        text = "".join(self._text)
        if self._refused:
            raise ModelError("refused", self._refused[:200])
        if self._first is not None and not self.ended:
            raise ModelError("connection", CUT_OFF)
        calls = self.calls()
        if not text.strip() and not calls:
            raise ModelError("empty", "the model answered with nothing")
        first = seconds if self._first is None else self._first
        return ModelReply(model, text, calls, self._usage, (), seconds, first, metadata=self._metadata)


def _fits_json(value: Any) -> bool:
    """Whether a client can be sent it: an endpoint's JSON may hold numbers beyond 64 bits or be too deep."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True
