"""From what an agent says to as few WhatsApp messages as possible.

Since October 2026 Meta charges each delivered message, so texts that belong together travel together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from greenline.channels.whatsapp.formatting import to_whatsapp
from greenline.engine.turn import Spoken
from greenline.tools.models import Buttons, Menu, Say, Text

MAX_TEXT: Final = 4096  # Meta: text body, and body of a list
MAX_BUTTON_BODY: Final = 1024  # Meta: body of interactive buttons

_BREAKS: Final = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])"),
    re.compile(r"\s+"),
)
"""Where a long text may be cut, best first: paragraphs, lines, sentences, words."""
_LOST: Final = 40
"""Characters that a cut may leave unused, so that it need not go through a word."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A Graph message without its recipient, and the journal's events that it carries.

    ``fallback`` are the messages that take its place if Meta refuses its medium.
    """

    kind: str
    body: dict[str, Any]
    event_ids: tuple[str, ...]
    fallback: tuple[Composed, ...] = ()


@dataclass(frozen=True, slots=True)
class NoteToSend:
    """A voice note at Meta that speaks the texts of an answer; with ``says_all`` they need not be read as well."""

    media_id: str
    says_all: bool


def compose(spoken: Sequence[Spoken], note: NoteToSend | None = None, *, as_typed: bool = False) -> list[Composed]:
    """The messages that say ``spoken``, in order. Text before buttons or a list joins their body where it fits.

    Markdown is written as WhatsApp formats text, unless a human typed it (``as_typed``). A voice note comes first;
    buttons, a list, and what one wants to see follow it in writing.
    """
    found: list[Composed] = []
    if not as_typed:
        spoken = [replace(piece, say=_formatted(piece.say)) for piece in spoken]
    if note is not None:
        found.append(
            _note(note, [(piece.event_id, piece.say.text) for piece in spoken if isinstance(piece.say, Text)])
        )
        if note.says_all:
            spoken = [piece for piece in spoken if not isinstance(piece.say, Text)]
    texts: list[str] = []
    events: list[str] = []
    for piece in spoken:
        say = piece.say
        if isinstance(say, Text):
            texts.append(say.text)
            events.append(piece.event_id)
            continue
        lead = "\n\n".join(texts)
        if lead and len(lead) + 2 + len(say.body) <= _room(say):
            found.append(_interactive(say, f"{lead}\n\n{say.body}", (*events, piece.event_id)))
        else:
            found.extend(_texts(lead, events))
            found.append(_interactive(say, say.body, (piece.event_id,)))
        texts, events = [], []
    found.extend(_texts("\n\n".join(texts), events))
    return found


def _formatted(say: Say) -> Say:
    if isinstance(say, Text):
        return replace(say, text=to_whatsapp(say.text))
    return replace(say, body=to_whatsapp(say.body))


def split_text(text: str, limit: int = MAX_TEXT) -> list[str]:
    """``text`` in as few pieces of at most ``limit`` characters as its words allow, cut at the best borders."""
    pieces = []
    rest = text.strip()
    while len(rest) > limit:
        cut = _cut(rest, limit)
        pieces.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [piece for piece in [*pieces, rest] if piece]


def _cut(text: str, limit: int) -> int:
    """Where the first piece ends: at the best border after which the rest needs no piece more than it must."""
    others = math.ceil(len(text) / limit) - 1
    least = len(text) - others * limit + (others - 1) * _LOST
    last = limit
    for border in _BREAKS:
        borders = [match for match in border.finditer(text, 0, limit + 1) if 0 < match.start() <= limit]
        last = borders[-1].start() if borders else 0
        if borders and borders[-1].end() >= least:
            return last
    return last if last >= limit // 2 else limit  # no border saves a message: between words, if there are any


def _note(note: NoteToSend, said: Sequence[tuple[str, str]]) -> Composed:
    """What only the note says is kept in writing beside it."""
    events = tuple(event_id for event_id, _ in said)
    written = _texts("\n\n".join(text for _, text in said), events) if note.says_all else []
    return Composed("audio", {"type": "audio", "audio": {"id": note.media_id, "voice": True}}, events, tuple(written))


def _texts(text: str, events: Sequence[str]) -> list[Composed]:
    return [
        Composed("text", {"type": "text", "text": {"body": piece, "preview_url": "https://" in piece}}, tuple(events))
        for piece in split_text(text)
    ]


def _room(say: Say) -> int:
    return MAX_BUTTON_BODY if isinstance(say, Buttons) else MAX_TEXT


def _interactive(say: Buttons | Menu, body: str, events: tuple[str, ...]) -> Composed:
    interactive = _buttons(say) if isinstance(say, Buttons) else _menu(say)
    interactive["body"] = {"text": body}
    if say.footer:
        interactive["footer"] = {"text": say.footer}
    return Composed("interactive", {"type": "interactive", "interactive": interactive}, events)


def _buttons(say: Buttons) -> dict[str, Any]:
    replies = [{"type": "reply", "reply": {"id": button.id, "title": button.title}} for button in say.buttons]
    return {"type": "button", "action": {"buttons": replies}}


def _menu(say: Menu) -> dict[str, Any]:
    sections: list[dict[str, Any]] = []
    for section in say.sections:
        rows = [
            {"id": row.id, "title": row.title, **({"description": row.description} if row.description else {})}
            for row in section.rows
        ]
        sections.append({**({"title": section.title} if section.title else {}), "rows": rows})
    header = {"header": {"type": "text", "text": say.header}} if say.header else {}
    return {"type": "list", **header, "action": {"button": say.button, "sections": sections}}
