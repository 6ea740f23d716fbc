"""Markdown, which models write whether they are asked to or not, as WhatsApp formats text.

WhatsApp shows ``*bold*``, ``_italic_``, ``~struck~``, code and plain lists, and every other sign of Markdown as it
stands (WhatsApp: How to format your messages). What is rewritten never grows, so a text keeps to Meta's limits.
"""

from __future__ import annotations

import re
from typing import Final

_CODE: Final = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_FENCE: Final = re.compile(r"^```\w+\n")

# What is looked for has an end: a model that is made to write thousands of signs must not hold up the others.
_HEADING: Final = re.compile(r"^ {0,3}#{1,6}[ \t]+(\S.{0,300}?)[ \t]*#*$", re.MULTILINE)
_RULE: Final = re.compile(r"^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*(?:\n|\Z)", re.MULTILINE)
_TABLE_RULE: Final = re.compile(r"^[ \t]*\|(?=[^\n]*-)[ \t:|-]*(?:\n|\Z)", re.MULTILINE)
_TABLE_ROW: Final = re.compile(r"^[ \t]*\|(.+)\|[ \t]*$", re.MULTILINE)
_LINK: Final = re.compile(r"!?\[([^\[\]\n]*)\]\((https?://[^\s()]+|mailto:[^\s()]+)\)")
_BOTH: Final = re.compile(r"(?<![*\w])\*{3}(?=[^\s*])(.{1,500}?)(?<=[^\s*])\*{3}(?!\*)")
_BOLD: Final = re.compile(r"(?<![*\w])\*\*(?=[^\s*])(.{1,500}?)(?<=[^\s*])\*\*(?!\*)")
_STRUCK: Final = re.compile(r"(?<![~\w])~~(?=[^\s~])(.{1,500}?)(?<=[^\s~])~~(?!~)")


def to_whatsapp(text: str) -> str:
    """``text`` with its Markdown as WhatsApp writes it. Code stays as it is, and what would leave nothing."""
    pieces = _CODE.split(text)
    written = "".join(
        _rewritten(piece) if place % 2 == 0 else _FENCE.sub("```\n", piece) for place, piece in enumerate(pieces)
    )
    return written if written.strip() else text


def _rewritten(text: str) -> str:
    text = _RULE.sub("", _TABLE_RULE.sub("", text))
    text = _TABLE_ROW.sub(lambda row: " | ".join(cell.strip() for cell in row[1].split("|")), text)
    text = _LINK.sub(_link, text)
    text = _BOTH.sub(r"*_\1_*", text)
    text = _HEADING.sub(lambda heading: f"*{heading[1].replace('**', '').strip('*')}*", text)
    return _STRUCK.sub(r"~\1~", _BOLD.sub(r"*\1*", text))


def _link(link: re.Match[str]) -> str:
    words, address = link[1].strip(), link[2].removeprefix("mailto:")
    return address if words in ("", address) else f"{words} ({address})"
