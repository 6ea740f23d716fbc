"""Tool calls, put together from the pieces in which endpoints send them."""

from __future__ import annotations

import json
import re
from typing import Final

from greenline.llm.errors import ModelError
from greenline.llm.models import ToolCall
from greenline.text import MOST_LEVELS, clean_data, clean_text, is_deeper

TOO_DEEP: Final = (
    f"The tool was not run: its arguments are nested deeper than {MOST_LEVELS} levels. Call it with simpler ones."
)
_DIGITS: Final = 20
"""Of the longest integer of 64 bits, with its sign."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class CallBuilder:
    """The calls of one reply.

    Endpoints differ: some give each call an index, some give all of them index 0 and a new id, some give neither
    index nor id and send each call in one piece.
    """

    def __init__(self) -> None:
        self._calls: list[dict[str, str]] = []
        self._at: dict[int, dict[str, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, index: int | None, call_id: str | None, name: str | None, arguments: str | None) -> None:
        """One piece of a call."""
        place = 0 if index is None else index
        call = self._at.get(place)
        known = call is not None and (index is not None or not name) and call_id in (None, "", call["id"])
        if call is None or not known:
            call = {"id": call_id or "", "name": "", "arguments": ""}
            self._calls.append(call)
            self._at[place] = call
        call["name"] += name or ""
        call["arguments"] += arguments or ""

    def calls(self) -> tuple[ToolCall, ...]:
        """All of them, in order. Raises `ModelError` for arguments that are no JSON object."""
        return tuple(
            call_of(call["id"] or f"call_{place}", call["name"], call["arguments"])
            for place, call in enumerate(self._calls)
        )


def call_of(call_id: str, name: str, text: str) -> ToolCall:
    """A call with its arguments as the model wrote them. Raises `ModelError` for what is no JSON object.

    What JSON can say and other parts of the system can't hold (integers over 64 bits, ``NaN``) becomes text. Of
    arguments that are nested too deeply to be kept the model is told.
    """
    try:
        arguments = json.loads(text, parse_int=integer_of, parse_constant=str) if text.strip() else {}
    except ValueError as error:
        raise ModelError("empty", f"the arguments of the tool {name} are no JSON") from error
    except RecursionError:
        return ToolCall(call_id, name, {}, TOO_DEEP)
    if not isinstance(arguments, dict):
        raise ModelError("empty", f"the arguments of the tool {name} are no JSON object")
    if is_deeper(arguments):
        return ToolCall(call_id, name, {}, TOO_DEEP)
    return ToolCall(call_id, name, clean_data(arguments))


def integer_of(digits: str) -> int | str:
    """A number of JSON, as text where it has more than 64 bits."""
    if len(digits) <= _DIGITS and -(2**63) <= (number := int(digits)) < 2**63:
        return number
    return digits


class StreamedText:
    """Text that comes in pieces. Characters that were cut in two are put together, what is none is replaced."""

    def __init__(self) -> None:
        self._half = ""

    def add(self, piece: str) -> str:
        """``piece`` as it can be kept and shown; the half of a character at its end comes with the next one."""
        text = self._half + piece
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text.removesuffix(self._half)
        if _SURROGATE.search(text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return clean_text(text)
