"""Meta's limits on messages: type by type what a body may hold. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from greenline.emulator.checks import a_file, a_text, an_object, objects, one_of
from greenline.emulator.errors import MetaError
from greenline.emulator.interactive import check_interactive

MEDIA_TYPES: Final = frozenset({"image", "video", "audio", "document", "sticker"})
CAPTIONED: Final = frozenset({"image", "video", "document"})
MOST_CONTACTS: Final = 257  # Meta's page; its OpenAPI file says 5
LONGEST_ECHO: Final = 512


def check_envelope(body: dict[str, Any]) -> None:
    """Refuse what is wrong around a message, whatever its type. Raises `MetaError` 100."""
    for key in ("to", "recipient"):
        if body.get(key) is not None and not isinstance(body[key], str | int):
            raise MetaError(100, f"Param {key} must be a string.")
    if one_of(body.get("recipient_type", "individual"), "recipient_type", ("individual", "group")) == "group":
        raise MetaError(100, "Param to: no group of this number has this id.")
    read_echo(body)
    context = body.get("context")
    if context is None:
        return
    if not isinstance(context, dict) or not isinstance(context.get("message_id"), str):
        raise MetaError(100, "Param context must be an object with a message_id.")
    if body.get("type") == "reaction":
        raise MetaError(100, "A reaction takes no context.")


def read_echo(body: dict[str, Any]) -> str | None:
    """What the business wants to be told again with what becomes of a message or a call. Raises `MetaError` 100."""
    echo = body.get("biz_opaque_callback_data")
    if echo is None or (isinstance(echo, str) and len(echo) <= LONGEST_ECHO):
        return echo
    raise MetaError(100, f"Param biz_opaque_callback_data must be a string of at most {LONGEST_ECHO} characters.")


def check_message(body: dict[str, Any]) -> None:
    """Refuse what Meta refuses of a message of any type but templates. Raises `MetaError`."""
    kind = body.get("type", "text")
    check = _CHECKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        raise MetaError(100, f"Param type must be one of {{{', '.join(_CHECKS)}, template}}.")
    if not body.get(kind):
        raise MetaError(131008, f"The parameter {kind} is required.")
    check(kind, body[kind])


def files_of(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files of a message that was checked, each with the kind that it must be."""
    kind = body.get("type", "text")
    headers: list[dict[str, Any]] = []
    if kind in MEDIA_TYPES:
        yield kind, body[kind]
    elif kind == "interactive":
        headers = [body["interactive"].get("header") or {}]
    elif kind == "template":
        components = body["template"].get("components") or []
        headers = [p for c in components if str(c.get("type")).lower() == "header" for p in c.get("parameters") or []]
    for header in headers:
        if header.get("type") in MEDIA_TYPES:
            yield header["type"], header[header["type"]]


def _text(kind: str, content: Any) -> None:
    a_text(an_object(content, kind).get("body"), "text['body']", 4096)


def _location(kind: str, content: Any) -> None:
    place = an_object(content, kind)
    for name, most in (("latitude", 90.0), ("longitude", 180.0)):
        if place.get(name) is None:
            raise MetaError(131008, f"The parameter {name} is required.")
        if not abs(_degrees(place[name])) <= most:
            raise MetaError(131009, f"Param {name} must be a number from {-most:g} to {most:g}.")


def _degrees(value: Any) -> float:
    """A number or one in a string, as Meta takes both; else NaN."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _contacts(kind: str, content: Any) -> None:
    contacts = objects(content, kind)
    if len(contacts) > MOST_CONTACTS:
        raise MetaError(131009, f"A message takes at most {MOST_CONTACTS} contacts.")
    for contact in contacts:
        a_text(an_object(contact.get("name"), "name").get("formatted_name"), "name['formatted_name']", 1024)


def _reaction(kind: str, content: Any) -> None:
    reaction = an_object(content, kind)
    a_text(reaction.get("message_id"), "reaction['message_id']", 512)
    if not isinstance(reaction.get("emoji", ""), str):
        raise MetaError(131009, "Param emoji must be a string.")


def _media(kind: str, content: Any) -> None:
    a_file(kind, content)
    if content.get("caption") is not None:
        if kind not in CAPTIONED:
            raise MetaError(100, f"{kind} takes no caption.")
        a_text(content["caption"], "caption", 1024)


def _interactive(kind: str, content: Any) -> None:
    check_interactive(an_object(content, kind))


_CHECKS: Final[dict[str, Callable[[str, Any], None]]] = {
    "text": _text,
    "location": _location,
    "contacts": _contacts,
    "reaction": _reaction,
    "interactive": _interactive,
    **dict.fromkeys(sorted(MEDIA_TYPES), _media),
}
