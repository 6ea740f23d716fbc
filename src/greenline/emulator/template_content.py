"""Meta's limits on the content of templates, at their creation. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from greenline.emulator.checks import is_address, one_of
from greenline.emulator.errors import MetaError

HOLE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
PARAMETER_FORMATS: Final = {"POSITIONAL": re.compile(r"[1-9][0-9]?"), "NAMED": re.compile(r"[a-z_][a-z0-9_]*")}
HEADER_FORMATS: Final = ("TEXT", "IMAGE", "VIDEO", "DOCUMENT", "LOCATION")
UNNAMED_BUTTONS: Final = ("COPY_CODE", "OTP", "CATALOG", "MPM", "SPM")
"""Meta writes the text of these if they bring none."""
BUTTONS: Final = ("QUICK_REPLY", "URL", "PHONE_NUMBER", "FLOW", "VOICE_CALL", *UNNAMED_BUTTONS)
VERIFICATION: Final = "*{{1}}* is your verification code."
"""Meta writes the body of authentication templates itself."""

Example = Callable[[str], str | None]


def unknown(handle: str) -> None:
    """No file was uploaded."""


_TOO_LONG, _HEADER, _BODY, _FOOTER, _DANGLING = 2388040, 2388047, 2388072, 2388073, 2388299
_MOST: Final = {"URL": 2, "PHONE_NUMBER": 1, "QUICK_REPLY": 10}


def checked(
    components: Any, category: str, parameter_format: str, example: Example = unknown
) -> list[dict[str, Any]]:
    """The components of a template, with types in capitals. Raises `MetaError` 100, often with a subcode.

    ``example`` tells of an uploaded file which format of header it can be an example of.
    """
    if not isinstance(components, list) or not all(isinstance(component, dict) for component in components):
        raise MetaError(100, "Param components must be a list of objects.")
    found = [{**component, "type": _capital(component, "type", _CHECKS)} for component in components]
    kinds = [component["type"] for component in found]
    if len(set(kinds)) < len(kinds) or "BODY" not in kinds:
        raise MetaError(100, "Param components needs one BODY, and takes each other type once.")
    for component in found:
        if component["type"] == "BODY" and category == "AUTHENTICATION":
            component["text"] = VERIFICATION
        else:
            _CHECKS[component["type"]](component, PARAMETER_FORMATS[parameter_format])
        if component["type"] == "HEADER":
            _check_example(component, example)
    return found


def _check_example(header: dict[str, Any], example: Example) -> None:
    shown = header.get("example")
    if header["format"] not in ("IMAGE", "VIDEO", "DOCUMENT") or shown is None:
        return
    handles = shown.get("header_handle") if isinstance(shown, dict) else None
    if not isinstance(handles, list) or len(handles) != 1 or example(str(handles[0])) != header["format"]:
        raise MetaError(100, f"Param header_handle must be the handle of an uploaded {header['format']}.")


def _capital(item: dict[str, Any], key: str, known: Any) -> str:
    return one_of(str(item.get(key, "")).upper(), key, known)


def _header(component: dict[str, Any], parameters: re.Pattern[str]) -> None:
    component["format"] = _capital(component, "format", HEADER_FORMATS)
    if component["format"] == "TEXT" and len(_text(component, 60, _HEADER, parameters)) > 1:
        raise MetaError(100, "A HEADER takes one parameter.", subcode=_HEADER)


def _body(component: dict[str, Any], parameters: re.Pattern[str]) -> None:
    _text(component, 1024, _BODY, parameters)
    text = component["text"].strip()
    if any(hole.start() == 0 or hole.end() == len(text) for hole in HOLE.finditer(text)):
        raise MetaError(100, "Variables can't be at the start or end of the template.", subcode=_DANGLING)


def _footer(component: dict[str, Any], parameters: re.Pattern[str]) -> None:
    if _text(component, 60, _FOOTER, parameters):
        raise MetaError(100, "A FOOTER takes no parameters.", subcode=_FOOTER)


def _text(component: dict[str, Any], limit: int, subcode: int, parameters: re.Pattern[str]) -> list[str]:
    """The parameters in the text of a component."""
    text = component.get("text")
    if not isinstance(text, str) or not text.strip():
        raise MetaError(100, f"{component['type']} needs a text.", subcode=subcode)
    if len(text) > limit:
        raise MetaError(100, f"{component['type']} is longer than {limit} characters.", subcode=_TOO_LONG)
    names: list[str] = HOLE.findall(text)
    if not all(parameters.fullmatch(name) for name in names):
        raise MetaError(100, f"{component['type']} has parameters of another parameter_format.", subcode=subcode)
    return names


def _buttons(component: dict[str, Any], parameters: re.Pattern[str]) -> None:
    buttons = component.get("buttons")
    if not isinstance(buttons, list) or not all(isinstance(button, dict) for button in buttons):
        raise MetaError(100, "Param buttons must be a list of objects.")
    if not 1 <= len(buttons) <= 10:
        raise MetaError(100, "A template has 1 to 10 buttons.")
    component["buttons"] = [{**button, "type": _capital(button, "type", BUTTONS)} for button in buttons]
    kinds = [button["type"] for button in component["buttons"]]
    for kind, most in _MOST.items():
        if kinds.count(kind) > most:
            raise MetaError(100, f"A template has at most {most} buttons of type {kind}.")
    places = [place for place, kind in enumerate(kinds) if kind == "QUICK_REPLY"]
    if places and places[-1] - places[0] >= len(places):
        raise MetaError(100, "Quick replies must stand together.")
    for button in component["buttons"]:
        _button(button)


def _button(button: dict[str, Any]) -> None:
    text = button.get("text")
    if text is None and button["type"] in UNNAMED_BUTTONS:
        button["text"] = "Copy code" if button["type"] in ("COPY_CODE", "OTP") else "View items"
    elif not isinstance(text, str) or not text.strip():
        raise MetaError(100, "A button needs a text.")
    elif len(text) > 25:
        raise MetaError(100, "The text of a button is longer than 25 characters.", subcode=_TOO_LONG)
    if button["type"] == "URL":
        _url(button.get("url"))
    if button["type"] == "PHONE_NUMBER" and not re.fullmatch(r"\+?[0-9 ()-]{3,20}", str(button.get("phone_number"))):
        raise MetaError(100, "Param phone_number must be a phone number of at most 20 characters.")


def _url(url: Any) -> None:
    if not is_address(url) or len(HOLE.findall(url)) > 1:
        raise MetaError(100, "Param url must be a valid URL with at most one parameter.")
    if len(url) > 2000:
        raise MetaError(100, "Param url is longer than 2000 characters.", subcode=_TOO_LONG)


def _as_it_is(component: dict[str, Any], parameters: re.Pattern[str]) -> None:
    """Its content is not looked at."""


_CHECKS: Final[dict[str, Callable[[dict[str, Any], re.Pattern[str]], None]]] = {
    "HEADER": _header,
    "BODY": _body,
    "FOOTER": _footer,
    "BUTTONS": _buttons,
    "CALL_PERMISSION_REQUEST": _as_it_is,
    "CAROUSEL": _as_it_is,
    "LIMITED_TIME_OFFER": _as_it_is,
}
