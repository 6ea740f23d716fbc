"""Whether a person is spelling something out: an order number, a name, an address. They pause between the pieces."""

from __future__ import annotations

import re
from typing import Final

_JOINTS: Final = frozenset({"dash", "dot", "double", "hyphen", "slash", "triple", "underscore"})
"""Words after which another letter or digit comes."""
_DIGITS: Final = frozenset({"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "oh"})
_SEVERAL: Final = re.compile(r"\d{3,}|[^\W\d_](-[^\W\d_])+")
"""One word that is spelled in itself: a longer number, or letters that the recogniser has joined."""


def looks_spelled(text: str) -> bool:
    """Whether the end of ``text`` is spelled, so that more of it is likely to come after a pause."""
    words = [word.strip(".,;:!?¿¡\"'").lower() for word in text.split()]
    words = [word for word in words if word]
    if not words:
        return False
    if _SEVERAL.fullmatch(words[-1]) or words[-1] in _JOINTS:
        return True
    return len(words) > 1 and all(_is_piece(word) for word in words[-2:])


def _is_piece(word: str) -> bool:
    return word.isdigit() or (len(word) == 1 and word.isalpha()) or word in _DIGITS or word in _JOINTS
