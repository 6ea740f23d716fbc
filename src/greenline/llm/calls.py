"""Tool calls, put together from the pieces in which endpoints send them."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from greenline.llm.errors import ModelError
from greenline.llm.models import ToolCall
from greenline.text import clean_data, clean_text

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
            ToolCall(call["id"] or f"call_{place}", call["name"], arguments_of(call["name"], call["arguments"]))
            for place, call in enumerate(self._calls)
        )


def arguments_of(name: str, text: str) -> dict[str, Any]:
    """The arguments of a call. Raises `ModelError` for what is no JSON object.

    What JSON can say and other parts of the system can't hold (integers over 64 bits, ``NaN``) becomes text.
    """
    try:
        arguments = clean_data(json.loads(text, parse_int=integer_of, parse_constant=str)) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ModelError("empty", f"the arguments of the tool {name} are no JSON") from error
    if not isinstance(arguments, dict):
        raise ModelError("empty", f"the arguments of the tool {name} are no JSON object")
    return arguments


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
