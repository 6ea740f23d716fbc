"""From written text to what is read aloud."""

from __future__ import annotations

import re
from typing import Final

_SEEN: Final = re.compile(
    r"https?://\S+|www\.\S+|[^\s@]{1,64}@[^\s@]+\.\w"  # addresses
    r"|^[^\S\n]*(?:[-*•]|\d+[.)])\s+"  # lists
    r"|\|.*\||```"  # tables and code
    r"|\d{6,}",  # long numbers, to be copied
    re.MULTILINE,
)
"""What a person wants to see, not to hear."""
_LINK: Final = re.compile(r"!?\[([^\[\]\n]*)\]\([^\s()]*\)")
"""Of Markdown; its first group is what one reads of it. What may begin another is not in it: a model that writes
thousands of brackets must not hold up the others."""
_ADDRESS: Final = re.compile(
    r"(?:https?://(?:www\.)?|\bwww\.)([\w-]+(?:\.[\w-]+)*)"  # its host
    r"(?::\d+)?(?:[/?#](?:[^\s()<>\[\]]*[\w/])?)?"  # the rest, without the punctuation of the sentence
)
_MARKS: Final = re.compile(r"[*_`#~|]+|^[^\S\n]*[-•]\s+", re.MULTILINE)
_PICTURES: Final = re.compile(r"[\U0001F000-\U0001FAFF\u2600-\u27BF\uFE0F\u200D]+")


def needs_reading(text: str) -> bool:
    """Whether ``text`` holds what a person wants to see: addresses, lists, tables, long numbers."""
    return _SEEN.search(text) is not None


def speakable(text: str) -> str:
    """``text`` as one reads it aloud: of addresses their host, of links their words, no marks and no pictures."""
    text = _ADDRESS.sub(r"\1", _LINK.sub(r"\1", text))
    text = _PICTURES.sub(" ", _MARKS.sub(" ", text))
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if any(char.isalnum() for char in line))
