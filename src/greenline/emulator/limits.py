"""Meta's limits on messages: type by type what a body may hold. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from greenline.emulator.errors import MetaError

MEDIA_TYPES: Final = frozenset({"image", "video", "audio", "document", "sticker"})
CAPTIONED: Final = frozenset({"image", "video", "document"})


def check_message(body: dict[str, Any]) -> None:
    """Refuse what Meta refuses of a message of any type but templates. Raises `MetaError`."""
    kind = str(body.get("type", "text"))
    check = _CHECKS.get(kind)
    if check is None:
        raise MetaError(100, f"Param type must be one of the known types; {kind!r} is none.")
    content = body.get(kind)
    if not isinstance(content, list if kind == "contacts" else dict) or not content:
        raise MetaError(131008, f"The parameter {kind} is required.")
    check(kind, content)


def _text(kind: str, content: Any) -> None:
    _length(content.get("body"), "text['body']", 4096)


def _location(kind: str, content: Any) -> None:
    if content.get("latitude") is None or content.get("longitude") is None:
        raise MetaError(131008, "Parameters latitude and longitude are required.")


def _contacts(kind: str, content: Any) -> None:
    if not all(isinstance(contact, dict) and contact.get("name") for contact in content):
        raise MetaError(131008, "Each contact needs a name.")


def _reaction(kind: str, content: Any) -> None:
    if not content.get("message_id"):
        raise MetaError(131008, "The parameter message_id is required.")


def _media(kind: str, content: Any) -> None:
    if bool(content.get("id")) == bool(content.get("link")):
        raise MetaError(131008, f"{kind} needs either an id or a link.")
    if content.get("caption") is not None:
        if kind not in CAPTIONED:
            raise MetaError(100, f"{kind} takes no caption.")
        _length(content["caption"], "caption", 1024)


def _interactive(kind: str, content: Any) -> None:
    kind, action = content.get("type"), content.get("action")
    if not isinstance(action, dict):
        raise MetaError(131008, "The parameter action is required.")
    limits = {"list": 4096}
    if kind not in ("call_permission_request", "catalog_message") or content.get("body"):
        body = content.get("body")
        text = body.get("text") if isinstance(body, dict) else None
        _length(text, "interactive['body']['text']", limits.get(str(kind), 1024))
    for part in ("header", "footer"):
        block = content.get(part)
        if isinstance(block, dict) and "text" in block:
            _length(block["text"], part, 60)
    if kind == "button":
        _buttons(action.get("buttons"))
    elif kind == "list":
        _list(action)


def _buttons(buttons: Any) -> None:
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
        raise MetaError(131009, "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3")
    replies = [button.get("reply", {}) if isinstance(button, dict) else {} for button in buttons]
    for reply in replies:
        _length(reply.get("id"), "button id", 256)
        _length(reply.get("title"), "button title", 20)
    if len({reply["id"] for reply in replies}) < len(replies):
        raise MetaError(131009, "Duplicate button id")
    if len({reply["title"] for reply in replies}) < len(replies):
        raise MetaError(131009, "Duplicated title of button")


def _list(action: dict[str, Any]) -> None:
    _length(action.get("button"), "action['button']", 20)
    sections = action.get("sections")
    if not isinstance(sections, list) or not 1 <= len(sections) <= 10:
        raise MetaError(131009, "A list has 1 to 10 sections.")
    rows: list[dict[str, Any]] = []
    for section in sections:
        if len(sections) > 1 or section.get("title"):
            _length(section.get("title"), "section title", 24)
        rows.extend(section.get("rows") or [])
    if not 1 <= len(rows) <= 10:
        raise MetaError(131009, "Total row count exceed max allowed count: 10")
    for row in rows:
        _length(row.get("id"), "row id", 200)
        _length(row.get("title"), "row title", 24)
        if row.get("description") is not None:
            _length(row["description"], "row description", 72)
    if len({row["id"] for row in rows}) < len(rows):
        raise MetaError(131009, "Duplicate row id")


def _length(text: Any, name: str, limit: int) -> None:
    if not isinstance(text, str) or not text:
        raise MetaError(131008, f"The parameter {name} is required.")
    if len(text) > limit:
        raise MetaError(131009, f"{name} length invalid. Min length: 1, Max length: {limit}")


_CHECKS: Final[dict[str, Callable[[str, Any], None]]] = {
    "text": _text,
    "location": _location,
    "contacts": _contacts,
    "reaction": _reaction,
    "interactive": _interactive,
    **dict.fromkeys(MEDIA_TYPES, _media),
}
