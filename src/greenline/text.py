"""Text and data that every part of the system can hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

MOST_LEVELS: Final = 200
"""Lists and objects within each other that are kept of what others sent: a journal holds 254, its own among them."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    """``text`` without NUL and lone surrogates, which JSON can carry and Postgres and UTF-8 can't."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def clean_data(value: Any) -> Any:
    """JSON data with every string cleaned, keys included."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): clean_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_data(item) for item in value]
    return value


def is_deeper(data: Any, levels: int = MOST_LEVELS) -> bool:
    """Whether more than ``levels`` lists and objects stand within each other in JSON data."""
    level = [data]
    for _ in range(levels):
        level = [inner for outer in level for inner in _children(outer)]
    return any(isinstance(item, dict | list) for item in level)


def without_depths(data: Any, levels: int = MOST_LEVELS) -> Any:
    """JSON data with None in the place of lists and objects that are nested deeper than ``levels``."""
    if not isinstance(data, dict | list):
        return data
    if levels == 0:
        return None
    if isinstance(data, dict):
        return {name: without_depths(item, levels - 1) for name, item in data.items()}
    return [without_depths(item, levels - 1) for item in data]


def _children(data: Any) -> Iterable[Any]:
    if isinstance(data, dict):
        return data.values()
    return data if isinstance(data, list) else ()
