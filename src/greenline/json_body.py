"""JSON that everything behind it can hold.

Postgres refuses NUL in text, UTF-8 refuses lone surrogates, and code that walks data can't go down without end.
Refused here, once, these need no thought in any route, nor where an answer from outside is kept.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

MAX_DEPTH: Final = 100
"""Levels of nesting; the deepest documented body, a workflow's expression, takes about 30."""
_WRITER_DEPTH: Final = 254  # orjson's own limit when it writes


class RefusedBody(Exception):
    """The request can't be taken; ``item()`` is its entry of the 422 list."""

    def __init__(self, kind: str, loc: list[str | int], message: str, value: Any = None) -> None:
        self.kind = kind
        self.loc = loc
        self.value = value
        super().__init__(message)

    def item(self) -> dict[str, Any]:
        """As pydantic tells of an error."""
        return {"type": self.kind, "loc": self.loc, "msg": str(self), "input": self.value}


def check_json(body: bytes) -> bytes:
    """``body`` if it is empty or JSON that can be stored, written anew. Raises `RefusedBody`.

    Numbers beyond 64 bits come out as floating-point numbers.
    """
    if not body.strip():
        return body
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedBody("json_invalid", ["body", error.pos], f"JSON decode error: {error.msg}", {}) from None
    written = _write(value)
    if b"\\u0000" in body:
        _find_nul(value, ["body"])
    return written


def _write(value: Any) -> bytes:
    """JSON of ``value``, if it has few enough levels: orjson counts them at no cost when it has fewer left."""
    levels = _WRITER_DEPTH - MAX_DEPTH
    for _ in range(levels):
        value = [value]
    try:
        return orjson.dumps(value)[levels:-levels]
    except orjson.JSONEncodeError:
        raise RefusedBody("too_deep", ["body"], f"The body is nested deeper than {MAX_DEPTH} levels") from None


def _find_nul(value: Any, loc: list[str | int]) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise RefusedBody("string_nul", loc, "Text must not hold a NUL character")  # it may be a secret
    elif isinstance(value, dict):
        for key, inner in value.items():
            _find_nul(key, loc)
            _find_nul(inner, [*loc, key])
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _find_nul(inner, [*loc, index])
