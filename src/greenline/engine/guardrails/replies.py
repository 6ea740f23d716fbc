"""A reply of the model as guardrails see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from greenline.llm.models import ModelReply
from greenline.tools.models import Tool

_END: Final = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’)\]]*\s+|[。！？]+|\n+")


class Held:
    """A reply that nobody gets before it is judged: a `greenline.engine.effects.Watch`."""

    holds: Final = True

    def delta(self, text: str) -> None:
        """It is judged when it is whole."""


class Streaming:
    """A reply that is given out while it is written: a `greenline.engine.effects.Watch`.

    ``ask`` is given what is written up to the end of a sentence, and a function to call when it is judged: one
    question is under way at a time, about all that is there by then.
    """

    holds: Final = False

    def __init__(self, ask: Callable[[str, Callable[[], None]], None]) -> None:
        self._ask = ask
        self.text = ""
        """What is written so far."""
        self._judged = 0
        self._asking = False

    def delta(self, text: str) -> None:
        """A piece of the model's text."""
        self.text += text
        self._look()

    def close(self) -> None:
        """It is whole: nothing of its beginning is asked any more."""
        self._asking = True
        self._ask = lambda text, answered: None

    def _look(self) -> None:
        if self._asking:
            return
        ends = [match.end() for match in _END.finditer(self.text, self._judged)]
        if ends:
            self._asking, self._judged = True, ends[-1]
            self._ask(self.text[: self._judged], self._answered)

    def _answered(self) -> None:
        self._asking = False
        self._look()


def words_of(reply: ModelReply, tools: Mapping[str, Tool]) -> str:
    """What the person would get of ``reply``: its text, and what the model wrote into calls that speak for it."""
    said = [reply.text.strip()]
    for call in reply.tool_calls:
        tool = tools.get(call.name)
        if tool is not None and tool.type == "system":
            said += _texts(call.arguments)
    return "\n".join(text for text in said if text)


def _texts(value: Any, name: str = "") -> Iterator[str]:
    """The texts for people among the arguments of a system tool."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, name)
    elif isinstance(value, str) and (name in ("message", "title", "description") or name.endswith("text")):
        yield value.strip()
