"""Text that every part of the system can hold."""

from __future__ import annotations

import re
from typing import Any

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
