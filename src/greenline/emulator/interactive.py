"""Meta's limits on interactive messages, kind by kind. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from greenline.emulator.checks import a_file, a_text, an_address, an_object, objects, one_of
from greenline.emulator.errors import MetaError

_ANY_HEADER: Final = ("text", "image", "video", "document")
LONGEST_TTL_MINUTES: Final = 43_200  # Meta: Calling buttons


def check_interactive(content: dict[str, Any]) -> None:
    """Refuse what Meta refuses of ``interactive``. Raises `MetaError`."""
    kind = _KINDS[one_of(content.get("type"), "interactive['type']", _KINDS)]
    if kind.needs_body or content.get("body") is not None:
        body = an_object(content.get("body"), "interactive['body']")
        a_text(body.get("text"), "interactive['body']['text']", kind.longest_body)
    if content.get("header") is not None:
        _header(content["header"], kind.headers)
    if content.get("footer") is not None:
        if not kind.has_footer:
            raise MetaError(100, f"interactive of type {content['type']} takes no footer.")
        a_text(an_object(content["footer"], "footer").get("text"), "footer", 60)
    action = an_object(content.get("action"), "interactive['action']")
    if kind.action_name is not None and action.get("name") != kind.action_name:
        raise MetaError(131009, f"Param action['name'] must be {kind.action_name}.")
    kind.check(action)


def _header(header: Any, taken: tuple[str, ...]) -> None:
    if not taken:
        raise MetaError(100, "This interactive message takes no header.")
    kind = one_of(an_object(header, "header").get("type"), "header['type']", taken)
    if kind == "text":
        a_text(header.get("text"), "header", 60)
    else:
        a_file(kind, header.get(kind))


def _nothing(action: dict[str, Any]) -> None:
    """The action is its name alone, or belongs to a market that the emulator does not know."""


def _buttons(action: dict[str, Any]) -> None:
    buttons = objects(action.get("buttons"), "action['buttons']")
    if not 1 <= len(buttons) <= 3:
        raise MetaError(131009, "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3")
    replies = []
    for button in buttons:
        one_of(button.get("type", "reply"), "button['type']", ("reply",))
        replies.append(an_object(button.get("reply"), "button['reply']"))
    ids = [a_text(reply.get("id"), "button id", 256) for reply in replies]
    titles = [a_text(reply.get("title"), "button title", 20) for reply in replies]
    if len(set(ids)) < len(ids):
        raise MetaError(131009, "Duplicate button id")
    if len(set(titles)) < len(titles):
        raise MetaError(131009, "Duplicated title of button")


def _list(action: dict[str, Any]) -> None:
    a_text(action.get("button"), "action['button']", 20)
    sections = objects(action.get("sections"), "action['sections']")
    if not 1 <= len(sections) <= 10:
        raise MetaError(131009, "A list has 1 to 10 sections.")
    rows: list[dict[str, Any]] = []
    for section in sections:
        if len(sections) > 1 or section.get("title"):
            a_text(section.get("title"), "section title", 24)
        rows.extend(objects(section.get("rows"), "section['rows']"))
    if not 1 <= len(rows) <= 10:
        raise MetaError(131009, "Total row count exceed max allowed count: 10")
    for row in rows:
        a_text(row.get("title"), "row title", 24)
        if row.get("description") is not None:
            a_text(row["description"], "row description", 72)
    ids = [a_text(row.get("id"), "row id", 200) for row in rows]
    if len(set(ids)) < len(ids):
        raise MetaError(131009, "Duplicate row id")


def _cta_url(action: dict[str, Any]) -> None:
    parameters = an_object(action.get("parameters"), "action['parameters']")
    a_text(parameters.get("display_text"), "display_text", 20)
    an_address(parameters.get("url"), "action['parameters']['url']")


def _flow(action: dict[str, Any]) -> None:
    parameters = an_object(action.get("parameters"), "action['parameters']")
    one_of(parameters.get("flow_message_version"), "flow_message_version", ("3",))
    if bool(parameters.get("flow_id")) == bool(parameters.get("flow_name")):
        raise MetaError(131008, "A flow needs either a flow_id or a flow_name.")
    a_text(parameters.get("flow_cta"), "flow_cta", 30)


def _voice_call(action: dict[str, Any]) -> None:
    parameters = an_object(action.get("parameters", {}), "action['parameters']")
    if parameters.get("display_text") is not None:
        a_text(parameters["display_text"], "display_text", 20)
    check_call_button(parameters)


def check_call_button(parameters: dict[str, Any]) -> None:
    """Refuse a wrong life or payload of a button that calls the business. Raises `MetaError` 131009."""
    minutes = parameters.get("ttl_minutes")
    if minutes is not None and (type(minutes) is not int or not 1 <= minutes <= LONGEST_TTL_MINUTES):
        raise MetaError(131009, f"Param ttl_minutes must be a number from 1 to {LONGEST_TTL_MINUTES}.")
    if parameters.get("payload") is not None:
        a_text(parameters["payload"], "payload", 512)


@dataclass(frozen=True)
class _Kind:
    """What a kind may hold around its action, and how its action is checked."""

    check: Callable[[dict[str, Any]], None]
    action_name: str | None = None
    headers: tuple[str, ...] = _ANY_HEADER
    has_footer: bool = True
    needs_body: bool = True
    longest_body: int = 1024


_KINDS: Final[dict[str, _Kind]] = {
    "button": _Kind(_buttons),
    "list": _Kind(_list, headers=("text",), longest_body=4096),
    "cta_url": _Kind(_cta_url, "cta_url"),
    "flow": _Kind(_flow, "flow"),
    "location_request_message": _Kind(_nothing, "send_location"),
    "voice_call": _Kind(_voice_call, "voice_call"),
    "call_permission_request": _Kind(
        _nothing, "call_permission_request", headers=(), has_footer=False, needs_body=False
    ),
    **{
        kind: _Kind(_nothing, needs_body=False)
        for kind in ("address_message", "product", "product_list", "catalog_message", "carousel")
    },
}
"""Meta: Interactive messages. Of those for a market or a catalogue only the frame is checked."""
