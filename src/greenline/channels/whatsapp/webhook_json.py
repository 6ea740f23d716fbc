"""JSON of webhooks: quick, and tolerant of what Meta can send and orjson refuses (lone surrogates, long numbers)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from greenline.channels.whatsapp.webhook_ids import is_key
from greenline.text import is_deeper

MAX_DEPTH: Final = 254
"""Levels of nesting that orjson writes, and that whoever reads an event can go down. Meta's have about ten."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What stands between values."""

    text: str


def load(body: bytes) -> Any:
    """Raises ``ValueError`` or ``RecursionError`` for what is no JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body, parse_constant=_refuse)


def dump(value: object) -> str:
    """Raises ``RecursionError`` for more than `MAX_DEPTH` levels."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        if is_deeper(value, MAX_DEPTH):
            raise RecursionError("nested too deeply") from None
        return json.dumps(value)


def dump_any(value: object) -> str:
    """As deep as it is: what is read goes deeper than either library writes."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return "".join(_written(value))


def _written(value: object) -> Iterator[str]:
    left: list[object] = [value]
    while left:
        match left.pop():
            case _Mark(text):
                yield text
            case dict() as found:
                left.append(_Mark("}"))
                for place, (key, inner) in reversed(list(enumerate(found.items()))):
                    left += [inner, _Mark(f"{',' if place else ''}{json.dumps(key)}:")]
                left.append(_Mark("{"))
            case list() as found:
                left.append(_Mark("]"))
                for place, inner in reversed(list(enumerate(found))):
                    left += [inner, _Mark("," if place else "")]
                left.append(_Mark("["))
            case plain:
                yield json.dumps(plain)


def digest(name: str, content: object) -> str:
    """A key for what has no id: the same for the same content, whatever the order in it."""
    try:
        text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        text = json.dumps(content, sort_keys=True).encode()
    sha256 = hashlib.sha256(text).hexdigest()
    return f"{name}:{sha256}" if is_key(name) else f"?:{sha256}"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
