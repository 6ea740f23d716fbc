"""The little of a vCard that tells who somebody is and how to reach them (RFC 6350, and 2426 for the older form).

What a phone writes may be anything: lines that are no property are passed over, and what is too long is not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

MAX_CHARACTERS: Final = 16_384
"""Of a card that are read; a picture, which may be large, stands at its end as a rule."""
MAX_VALUE: Final = 300
MAX_VALUES: Final = 10
"""Of phones, and of e-mail addresses."""

_FOLD: Final = re.compile(r"\r?\n[ \t]")
_PROPERTY: Final = re.compile(
    r'(?:[\w-]+\.)?(?P<name>[A-Za-z-]+)(?P<parameters>(?:;(?:"[^"]*"|[^":;])*)*):(?P<value>.*)'
)
_WHATSAPP_ID: Final = re.compile(r";waid=(\d+)", re.IGNORECASE)
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(slots=True)
class VCard:
    """A person or a business; what the card does not tell is empty."""

    name: str = field(default="", repr=False)
    organisation: str = field(default="", repr=False)
    title: str = field(default="", repr=False)
    phones: list[str] = field(default_factory=list, repr=False)
    emails: list[str] = field(default_factory=list, repr=False)


def read_vcard(text: str) -> VCard:
    """The first card in ``text``. Never raises."""
    card, structured_name = VCard(), ""
    for line in _FOLD.sub("", text[:MAX_CHARACTERS]).splitlines():
        found = _PROPERTY.fullmatch(line.strip())
        if found is None:
            continue
        name, value = found["name"].upper(), found["value"]
        match name:
            case "FN":
                card.name = card.name or _plain(value)
            case "N":
                structured_name = structured_name or _full_name(value)
            case "ORG":
                card.organisation = card.organisation or ", ".join(_components(value))
            case "TITLE":
                card.title = card.title or _plain(value)
            case "TEL":
                called = _WHATSAPP_ID.search(found["parameters"])
                _add(card.phones, _plain(value).removeprefix("tel:") or (f"+{called[1]}" if called else ""))
            case "EMAIL":
                _add(card.emails, _plain(value))
            case "END":
                break
    card.name = card.name or structured_name
    return card


def _full_name(value: str) -> str:
    """``N`` has five components: family name, given name, additional names, prefixes, suffixes."""
    family, given, additional, prefix, suffix = (*_components(value, empty=True), *[""] * 5)[:5]
    return " ".join(part for part in (prefix, given, additional, family, suffix) if part)


def _components(value: str, *, empty: bool = False) -> list[str]:
    parts = [_plain(part) for part in re.split(r"(?<!\\);", value)]
    return [part for part in parts if part or empty]


def _plain(value: str) -> str:
    """A value without its escapes, on one line."""
    text = _ESCAPED.sub(lambda escaped: " " if escaped[1] in "nN" else escaped[1], value)
    return " ".join(text.split())[:MAX_VALUE]


def _add(values: list[str], value: str) -> None:
    if value and value not in values and len(values) < MAX_VALUES:
        values.append(value)
