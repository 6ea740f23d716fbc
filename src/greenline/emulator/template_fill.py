"""A template with the parameters of a message: what the person reads. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from greenline.emulator.checks import a_file, a_text, an_object
from greenline.emulator.errors import MetaError
from greenline.emulator.interactive import check_call_button
from greenline.emulator.template_content import HOLE

_LIMITS: Final = {"header": 60, "body": 1024}
_LAID_OUT: Final = re.compile(r"[\n\r\t]| {5}")
_SENT: Final = ("header", "body", "button", "carousel", "limited_time_offer")

Parameters = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Filled:
    """A template's message. ``rendered`` is all of it, with a line in brackets for a header that is no text and for
    each button; ``texts`` are those of ``header``, ``body`` and ``footer``.
    """

    rendered: str
    texts: Mapping[str, str]


def fill(template: Mapping[str, Any], sent: Mapping[str, Any]) -> Filled:
    """What the person reads.

    Raises:
        MetaError: 132000 for a wrong number of parameters, 132012 for a wrong kind, 131008 for a button without its
            parameter, 132018 for one that the template does not have and for a text with line breaks, tabs or more
            than 4 spaces in a row, 132005 for a text that becomes too long, 100 for components of another shape.
    """
    parts, buttons = _given(sent.get("components"))
    lines, texts = [], {}
    for component in template["components"]:
        match component["type"]:
            case "HEADER" if component["format"] != "TEXT":
                _media_header(component["format"].lower(), parts.pop("header", []))
                lines.append(f"[{component['format'].lower()}]")
            case "HEADER" | "BODY" as kind:
                place = kind.lower()
                texts[place] = _filled(component["text"], parts.pop(place, []), place)
                lines.append(texts[place])
            case "FOOTER":
                texts["footer"] = component["text"]
                lines.append(component["text"])
            case "BUTTONS":
                for index, button in enumerate(component["buttons"]):
                    _check_button(index, button, buttons.pop(index, None))
                    lines.append(f"[{button['text']}]")
    for kind in ("header", "body"):
        _filled("", parts.get(kind, []), kind)
    for index in buttons:
        raise MetaError(132018, f"buttons: Button at index {index} is not in the template")
    return Filled("\n".join(lines), texts)


def needs_phone(template: Mapping[str, Any]) -> bool:
    """Whether it can't be sent by a business-scoped id: it hands a code over (Meta: Business-scoped user IDs)."""
    buttons = [b for c in template["components"] if c["type"] == "BUTTONS" for b in c["buttons"]]
    return template["category"] == "AUTHENTICATION" and any(b["type"] in ("OTP", "COPY_CODE") for b in buttons)


def asks_to_call(template: Mapping[str, Any]) -> bool:
    """Whether the person is asked for the permission to be called."""
    return any(component["type"] == "CALL_PERMISSION_REQUEST" for component in template["components"])


def _given(components: Any) -> tuple[dict[str, Parameters], dict[int, tuple[str, Parameters]]]:
    """The parameters of a message: of the parts by type, and of the buttons by place, with their kinds."""
    if components is None:
        components = []
    if not isinstance(components, list):
        raise MetaError(100, "Param template['components'] must be a list.")
    parts: dict[str, Parameters] = {}
    buttons: dict[int, tuple[str, Parameters]] = {}
    for component in components:
        kind = str(an_object(component, "component").get("type", "")).lower()
        if kind not in _SENT:
            raise MetaError(100, f"Param component['type'] must be one of {{{', '.join(_SENT)}}}.")
        parameters = component.get("parameters") or []
        if not isinstance(parameters, list) or not all(isinstance(parameter, dict) for parameter in parameters):
            raise MetaError(100, "Param component['parameters'] must be a list of objects.")
        if kind == "button":
            buttons[_place(component.get("index"))] = (str(component.get("sub_type", "")).upper(), parameters)
        else:
            parts[kind] = parameters
    return parts, buttons


def _place(index: Any) -> int:
    text = str(index)
    if not text.isascii() or not text.isdigit() or len(text) > 2:
        raise MetaError(100, "Param component['index'] must be the place of a button.")
    return int(text)


def _filled(text: str, parameters: Parameters, kind: str) -> str:
    holes = list(dict.fromkeys(HOLE.findall(text)))
    if len(parameters) != len(holes):
        raise MetaError(
            132000,
            f"{kind}: number of localizable_params ({len(parameters)}) does not match the expected number of "
            f"params ({len(holes)})",
        )
    values: dict[str, str] = {}
    for place, parameter in enumerate(parameters):
        value = parameter.get("text")
        if parameter.get("type", "text") != "text" or not isinstance(value, str) or not value:
            raise MetaError(132012, f"{kind}: parameter {place + 1} must be a text")
        name: Any = parameter.get("parameter_name") or (holes[place] if holes[place].isdigit() else None)
        if name not in holes:
            raise MetaError(132000, f"{kind}: parameter name is missing or unknown")
        if _LAID_OUT.search(value):
            details = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"
            raise MetaError(132018, f"{kind}: {details}")
        values[name] = value
    filled = HOLE.sub(lambda hole: values.get(hole.group(1), hole.group(0)), text)
    if len(filled) > _LIMITS[kind]:
        raise MetaError(132005, f"{kind}: the text is longer than {_LIMITS[kind]} characters with its parameters")
    return filled


def _media_header(wanted: str, parameters: Parameters) -> None:
    if len(parameters) != 1 or parameters[0].get("type") != wanted:
        raise MetaError(132012, f"header: Format mismatch, expected {wanted.upper()}, received something else")
    if wanted == "location":
        an_object(parameters[0].get("location"), "location")
    else:
        a_file(wanted, parameters[0].get(wanted))


def _check_button(index: int, button: Mapping[str, Any], given: tuple[str, Parameters] | None) -> None:
    kind, called = button["type"], f"buttons: Button at index {index} of type {button['type'].capitalize()}"
    needs_one = kind in ("OTP", "COPY_CODE") or (kind == "URL" and HOLE.search(button["url"]) is not None)
    if given is None or not given[1]:
        if needs_one:
            raise MetaError(131008, f"{called} requires a parameter")
        return
    sub_type, parameters = given
    if sub_type not in (kind, "URL" if kind == "OTP" else kind):
        raise MetaError(132018, f"{called} is no {sub_type.lower()}")
    if kind == "VOICE_CALL":
        check_call_button({str(p.get("type")): p.get(str(p.get("type"))) for p in parameters})
    elif kind == "URL" and not needs_one:
        raise MetaError(132018, f"{called} takes no parameter")
    elif kind in _BUTTON_PARAMETERS:
        wanted = _BUTTON_PARAMETERS[kind]
        if len(parameters) != 1 or parameters[0].get("type") != wanted:
            raise MetaError(132012, f"{called} takes one parameter of type {wanted}")
        a_text(parameters[0].get(wanted), f"{called}: {wanted}", 2000)


_BUTTON_PARAMETERS: Final = {"URL": "text", "OTP": "text", "COPY_CODE": "coupon_code", "QUICK_REPLY": "payload"}
