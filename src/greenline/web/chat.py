"""A chat as a phone shows it: the emulator's messages turned into bubbles. No drawing here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from greenline.web.sound import Sound

Tick: TypeAlias = Literal["none", "sent", "delivered", "read", "failed"]
Deed: TypeAlias = Literal["reply", "link", "phone", "other"]
Style: TypeAlias = Literal["plain", "bold", "italic", "struck", "code", "link"]

FILES: Final = ("image", "document", "video", "audio", "sticker")
_MARKS: Final[Mapping[str, Style]] = {"*": "bold", "_": "italic", "~": "struck", "`": "code"}
_WEB: Final = re.compile("https?://", re.IGNORECASE)
_UNDIALLED: Final = re.compile(r"[^0-9+]")
_URL: Final = r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]"
_PIECE: Final = re.compile(
    rf"(?P<link>{_URL})|(?<!\w)(?P<mark>[*_~`])(?=\S)(?P<marked>[^\n]*?\S)(?P=mark)(?!\w)", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Text in one style. A link's text is its address, of http or https."""

    text: str
    style: Style = "plain"


@dataclass(frozen=True, slots=True)
class Choice:
    """A button or a row; ``place`` counts over the whole message.

    A ``reply`` is told to the business when it is tapped. A ``link`` and a ``phone`` number lead to ``address``, of
    http, https or tel; ``other`` buttons do what only a real phone can, and can't be tapped.
    """

    place: int
    title: str
    detail: str = ""
    section: str = ""
    does: Deed = "reply"
    address: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A file in a message: at Meta under ``media_id``, or at ``address``, a link of the sender.

    ``size`` in bytes and ``sound`` are known once the file was looked at.
    """

    kind: str
    name: str
    mime_type: str
    address: str = ""
    media_id: str = ""
    voice: bool = False
    size: int | None = None
    sound: Sound | None = None


@dataclass(frozen=True, slots=True)
class Bubble:
    """A message. ``mine`` is the person's own; ``list_label`` opens ``choices`` as a list.

    ``played`` is of voice notes that the person received. ``asks_to_call``: the business asks for the permission to
    call, and has no answer yet.
    """

    id: str
    mine: bool
    at: float
    text: str = ""
    header: str = ""
    footer: str = ""
    quoted: str = ""
    tick: Tick = "none"
    reactions: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    list_label: str = ""
    file: File | None = None
    played: bool = False
    asks_to_call: bool = False


def bubbles(messages: Sequence[Mapping[str, Any]], taken: Collection[str]) -> list[Bubble]:
    """The bubbles of a chat; ``taken`` are ids of the person's messages that the business has."""
    shorts = {str(message["id"]): _short(message) for message in messages}
    answered = {_answers(message) for message in messages if _permission_reply(message)}
    asking = {message["id"] for message in messages if message.get("asks_to_call")} - answered
    return [
        _bubble(message, shorts, taken, asks_to_call=message["id"] in asking)
        for message in messages
        if message["type"] != "reaction"
    ]


def pieces(text: str) -> list[Piece]:
    """Text with WhatsApp's marks (*bold*, _italic_, ~struck~, `code`) and its links told apart."""
    found: list[Piece] = []
    end = 0
    for match in _PIECE.finditer(text):
        if match.start() > end:
            found.append(Piece(text[end : match.start()]))
        if match["link"]:
            found.append(Piece(match["link"], "link"))
        else:
            found.append(Piece(match["marked"], _MARKS[match["mark"]]))
        end = match.end()
    if end < len(text):
        found.append(Piece(text[end:]))
    return found


def _bubble(
    message: Mapping[str, Any], shorts: Mapping[str, str], taken: Collection[str], *, asks_to_call: bool
) -> Bubble:
    kind, mine = str(message["type"]), message["direction"] == "in"
    content = message.get(kind)
    content = content if isinstance(content, dict) else {}
    interactive = content if kind == "interactive" else {}
    shown, medium = _header(content) if kind == "template" else (kind, content)
    choices = tuple(_templates_choices(message)) if kind == "template" else _choices(interactive)
    action = interactive.get("action") or {}
    texts = message.get("texts") or {}
    return Bubble(
        id=str(message["id"]),
        mine=mine,
        at=float(message["timestamp"]),
        text=_text(message, kind, content),
        header=texts.get("header") or str((interactive.get("header") or {}).get("text") or ""),
        footer=texts.get("footer") or str((interactive.get("footer") or {}).get("text") or ""),
        quoted=shorts.get(_answers(message), ""),
        tick=_tick(message, mine, taken),
        reactions=tuple(emoji for emoji in message.get("reactions", ()) if emoji),
        choices=choices,
        list_label=str(action.get("button") or "") if action.get("sections") else "",
        file=_file(shown, medium) if shown in FILES else None,
        played=message.get("status") == "played",
        asks_to_call=asks_to_call,
    )


def _answers(message: Mapping[str, Any]) -> str:
    """The id of the message that this one replies to."""
    return str((message.get("context") or {}).get("id") or "")


def _permission_reply(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    interactive = message.get("interactive")
    return interactive.get("call_permission_reply") if isinstance(interactive, dict) else None


def _tick(message: Mapping[str, Any], mine: bool, taken: Collection[str]) -> Tick:
    if not mine:
        return "none"
    if message.get("read_by_business"):
        return "read"
    return "delivered" if message["id"] in taken else "sent"


def _text(message: Mapping[str, Any], kind: str, content: Mapping[str, Any]) -> str:
    if kind == "template":
        return _template_text(message, content)
    if message.get("rendered"):
        return str(message["rendered"])
    if kind == "text":
        return str(content.get("body") or "")
    if kind in FILES:
        return str(content.get("caption") or "")
    if permission := _permission_reply(message):
        return _permission_text(permission)
    if kind == "interactive":
        reply = content.get("button_reply") or content.get("list_reply") or {}
        return str(reply.get("title") or (content.get("body") or {}).get("text") or "")
    if kind == "button":
        return str(content.get("text") or "")
    if kind == "location":
        name = content.get("name") or content.get("address") or ""
        return f"📍 {name} {content.get('latitude')}, {content.get('longitude')}".replace("  ", " ")
    return f"[{kind}]"


def _permission_text(reply: Mapping[str, Any]) -> str:
    if reply.get("response") != "accept":
        return "Please don't call me."
    return "You may call me." if reply.get("is_permanent") else "You may call me for seven days."


def _short(message: Mapping[str, Any]) -> str:
    kind = str(message["type"])
    content = message.get(kind)
    text = _text(message, kind, content if isinstance(content, dict) else {})
    if kind == "audio" and not text:
        return "Voice message"
    return text[:120] or f"[{kind}]"


def _choices(interactive: Mapping[str, Any]) -> tuple[Choice, ...]:
    action = interactive.get("action") or {}
    if action.get("buttons"):
        titles = [str(button["reply"]["title"]) for button in action["buttons"]]
        return tuple(Choice(place, title) for place, title in enumerate(titles))
    rows = [(section, row) for section in action.get("sections", ()) for row in section.get("rows", ())]
    return tuple(
        Choice(place, str(row["title"]), str(row.get("description") or ""), str(section.get("title") or ""))
        for place, (section, row) in enumerate(rows)
    )


def _header(template: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The kind and the content of a template's header that is no text; "" without one."""
    for component in template.get("components") or ():
        parameter: Mapping[str, Any] = next(iter(component.get("parameters") or ()), {})
        kind = str(parameter.get("type"))
        if str(component.get("type")).lower() == "header" and kind in (*FILES, "location"):
            return kind, parameter.get(kind) or {}
    return "", {}


def _template_text(message: Mapping[str, Any], template: Mapping[str, Any]) -> str:
    """The body of a template, under the place that its header may be."""
    kind, medium = _header(template)
    place = _text({}, kind, medium) if kind == "location" else ""
    return "\n".join(text for text in (place, str((message.get("texts") or {}).get("body") or "")) if text)


def _templates_choices(message: Mapping[str, Any]) -> Iterator[Choice]:
    for place, button in enumerate(message.get("buttons") or ()):
        title, number = str(button["text"]), str(button.get("phone_number") or "")
        address = str(button.get("url") or "")
        if button["type"] == "QUICK_REPLY":
            yield Choice(place, title)
        elif button["type"] == "URL" and _WEB.match(address):
            yield Choice(place, title, does="link", address=address)
        elif button["type"] == "PHONE_NUMBER" and number:
            yield Choice(place, title, number, does="phone", address=f"tel:{_UNDIALLED.sub('', number)}")
        else:
            yield Choice(place, title, str(button.get("coupon_code") or ""), does="other")


def _file(kind: str, content: Mapping[str, Any]) -> File:
    address = str(content.get("link") or "")
    return File(
        kind=kind,
        name=str(content.get("filename") or kind.capitalize()),
        mime_type=str(content.get("mime_type") or ""),
        address=address if address.startswith(("https://", "http://")) else "",
        media_id=str(content.get("id") or ""),
        voice=kind == "audio" and content.get("voice") is True,
    )
