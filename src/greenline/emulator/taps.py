"""What comes back to the business when a person taps a button or a row of its message. Pure."""

from __future__ import annotations

from typing import Any

from greenline.emulator.template_content import HOLE
from greenline.emulator.world import Message


class NoSuchButton(LookupError):
    """The message has no such button or row."""

    def __init__(self) -> None:
        super().__init__("The message has no such button or row.")


class NoReply(ValueError):
    """The button does something on the phone, and the business is told nothing."""


def buttons_of(template: dict[str, Any], sent: dict[str, Any]) -> list[dict[str, Any]]:
    """The buttons of a template's message: ``type``, ``text``, and what they do.

    That is the ``payload`` of quick replies, the ``url``, the ``phone_number`` and the ``coupon_code`` of those that
    act on the phone.
    ``sent`` is the message's ``template``. A quick reply without a payload of its own comes back with its text.
    """
    parts = [part for part in sent.get("components") or () if isinstance(part, dict)]
    given = {
        str(part.get("index")): parameter
        for part in parts
        if str(part.get("type")).lower() == "button"
        for parameter in part.get("parameters") or ()
        if isinstance(parameter, dict)
    }
    buttons: list[dict[str, Any]] = []
    for component in template["components"]:
        if str(component.get("type")).upper() != "BUTTONS":
            continue
        for place, button in enumerate(component.get("buttons") or ()):
            buttons.append(_button(button, given.get(str(place), {})))
    return buttons


def _button(button: dict[str, Any], parameter: dict[str, Any]) -> dict[str, Any]:
    made = {"type": str(button.get("type")).upper(), "text": str(button.get("text") or "")}
    match made["type"]:
        case "QUICK_REPLY":
            made["payload"] = str(parameter.get("payload") or made["text"])
        case "URL":
            made["url"] = HOLE.sub(lambda _: str(parameter.get("text") or ""), str(button.get("url") or ""))
        case "PHONE_NUMBER":
            made["phone_number"] = str(button.get("phone_number") or "")
        case "COPY_CODE":
            made["coupon_code"] = str(parameter.get("coupon_code") or "")
    return made


def reply(message: Message, *, button_id: str | None, row_id: str | None, index: int | None) -> dict[str, Any]:
    """Meta's inbound message for a tap, without ids and time.

    ``button_id`` of a template's button is its payload or its text. Raises `NoSuchButton` or `NoReply`.
    """
    if message.type == "template":
        return {"type": "button", "button": _template_button(message, button_id, index)}
    interactive = message.content.get("interactive")
    action = interactive.get("action") if isinstance(interactive, dict) else None
    action = action if isinstance(action, dict) else {}
    if "buttons" in action:
        chosen = _choice([button["reply"] for button in action["buttons"]], "id", button_id, index)
        return {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": chosen}}
    rows = [row for section in action.get("sections", ()) for row in section.get("rows", ())]
    chosen = _choice(rows, "id", row_id, index)
    return {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": chosen}}


def _template_button(message: Message, button_id: str | None, index: int | None) -> dict[str, str]:
    named = [button for button in message.buttons if button_id in (button.get("payload"), button["text"])]
    chosen = named[0] if named and button_id is not None else _choice(message.buttons, "payload", button_id, index)
    if chosen["type"] != "QUICK_REPLY":
        raise NoReply(f"A button of type {chosen['type']} acts on the phone; nothing comes back.")
    return {"payload": chosen["payload"], "text": chosen["text"]}


def _choice(items: list[dict[str, Any]], key: str, wanted: str | None, index: int | None) -> dict[str, Any]:
    for place, item in enumerate(items):
        if (item.get(key) == wanted) if wanted is not None else place == (index or 0):
            return item
    raise NoSuchButton
