"""Markdown, which models write whether they are asked to or not, as WhatsApp formats text.

WhatsApp shows ``*bold*``, ``_italic_``, ``~struck~``, code and plain lists, and every other sign of Markdown as it
stands (WhatsApp: How to format your messages). What is rewritten never grows, so a text keeps to Meta's limits.
"""

from __future__ import annotations

import re
from typing import Final

_HOLE: Final = "\0"
"""Stands for a piece of code while the text around it is rewritten: no text of a person or a model has it."""
_CODE: Final = re.compile(rf"```.*?```|`[^`\n]+`|{_HOLE}", re.DOTALL)
_FENCE: Final = re.compile(r"^```\w+\n")

# What is looked for has an end: a model that is made to write thousands of signs must not hold up the others.
_HEADING: Final = re.compile(r"^ {0,3}#{1,6}[ \t]+(\S.{0,300})$", re.MULTILINE)
_HEADING_END: Final = re.compile(r"[ \t]+(?:#+[ \t]*)?$")
_EMPHASIS: Final = re.compile(r"(?<![*\w])\*(?=[^\s*])([^*\n]{1,300})(?<=[^\s*])\*(?![*\w])")
_RULE: Final = re.compile(r"^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*(?:\n|\Z)", re.MULTILINE)
_TABLE_RULE: Final = re.compile(r"^[ \t]*\|(?=[^\n]*-)[ \t:|-]*(?:\n|\Z)", re.MULTILINE)
_TABLE_ROW: Final = re.compile(r"^[ \t]*\|(.+)\|[ \t]*$", re.MULTILINE)
_LINK: Final = re.compile(r"!?\[([^\[\]\n]*)\]\((https?://[^\s()\0]+|mailto:[^\s()\0]+)\)")
# After a letter or digit of ASCII it is a power (2**3); many other scripts write without spaces.
_BOTH: Final = re.compile(r"(?<![*0-9A-Za-z_])\*{3}(?=[^\s*])((?:[^*\n]|\*(?!\*\*)){1,500}?)(?<=[^\s*])\*{3}(?!\*)")
_BOLD: Final = re.compile(r"(?<![*0-9A-Za-z_])\*\*(?=[^\s*])((?:[^*\n]|\*(?!\*)){1,500}?)(?<=[^\s*])\*\*(?!\*)")
_STRUCK: Final = re.compile(r"(?<![~0-9A-Za-z_])~~(?=[^\s~])((?:[^~\n]|~(?!~)){1,500}?)(?<=[^\s~])~~(?!~)")


def to_whatsapp(text: str) -> str:
    """``text`` with its Markdown as WhatsApp writes it. Code stays as it is, and what would leave nothing."""
    codes = (_FENCE.sub("```\n", code[0]) for code in _CODE.finditer(text))
    written = re.sub(_HOLE, lambda _: next(codes), _rewritten(_CODE.sub(_HOLE, text)))
    return written if written.strip() else text


def _rewritten(text: str) -> str:
    text = _RULE.sub("", _TABLE_RULE.sub("", text))
    text = _TABLE_ROW.sub(_table_row, text)
    text = _LINK.sub(_link, text)
    text = _BOTH.sub(r"*_\1_*", text)
    text = _HEADING.sub(_heading, text)
    return _STRUCK.sub(r"~\1~", _BOLD.sub(r"*\1*", text))


def _table_row(row: re.Match[str]) -> str:
    cells = [cell.strip() for cell in row[1].split("|")]
    spaced = " | ".join(cells)
    return spaced if len(spaced) <= len(row[0]) else "|".join(cells)


def _heading(heading: re.Match[str]) -> str:
    words = _HEADING_END.sub("", heading[1]).replace("**", "")
    whole = _EMPHASIS.fullmatch(words)
    inside = whole[1] if whole else _EMPHASIS.sub(r"_\1_", words)
    return f"*{inside}*"


def _link(link: re.Match[str]) -> str:
    words, address = link[1].strip(), link[2].removeprefix("mailto:")
    return address if words in ("", address) else f"{words} ({address})"
