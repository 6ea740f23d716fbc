"""A template as Meta describes it, and what can be wrong with its use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from greenline.errors import BadRequest, NotFound

PLACEHOLDER: Final = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


class TemplateNotFound(NotFound):
    """Meta has no template of this name and language. Check both in WhatsApp Manager."""

    code = "template_not_found"


class TemplateUnusable(BadRequest):
    """The template can't be sent now."""

    code = "template_not_approved"


class TemplateMismatch(BadRequest):
    """The parameters are not those that the template defines."""

    code = "template_parameters_mismatch"


@dataclass(frozen=True, slots=True)
class Header:
    """``format``: TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION."""

    format: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    """``type``: QUICK_REPLY, URL, PHONE_NUMBER, COPY_CODE, OTP, FLOW, VOICE_CALL, ..."""

    type: str
    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A template in one language. ``asks_to_call``: it holds Meta's call permission request."""

    name: str
    language: str
    status: str
    category: str
    is_named: bool
    body: str
    header: Header | None = None
    footer: str = ""
    buttons: tuple[Button, ...] = ()
    asks_to_call: bool = False


def placeholders(text: str) -> tuple[str, ...]:
    """The names in ``{{...}}``, each once: numbers ascending, names in the order of the text."""
    names = tuple(dict.fromkeys(PLACEHOLDER.findall(text)))
    return tuple(sorted(names, key=int)) if all(name.isdigit() for name in names) else names


def read_template(data: Mapping[str, Any]) -> Template:
    """A row of ``message_templates``. Parts of unknown kinds are passed over."""
    components = data.get("components")
    parts = [part for part in components if isinstance(part, Mapping)] if isinstance(components, list) else []
    by_type = {str(part.get("type", "")).upper(): part for part in reversed(parts)}
    header, body = by_type.get("HEADER"), _text(by_type.get("BODY", {}), "text")
    named = any(not name.isdigit() for part in parts for name in placeholders(_text(part, "text")))
    return Template(
        name=_text(data, "name"),
        language=_text(data, "language"),
        status=_text(data, "status").upper(),
        category=_text(data, "category").upper(),
        is_named=_text(data, "parameter_format").upper() == "NAMED" or named,
        body=body,
        header=Header((_text(header, "format") or "TEXT").upper(), _text(header, "text")) if header else None,
        footer=_text(by_type.get("FOOTER", {}), "text"),
        buttons=_buttons(by_type.get("BUTTONS", {}).get("buttons")),
        asks_to_call="CALL_PERMISSION_REQUEST" in by_type,
    )


def _buttons(rows: object) -> tuple[Button, ...]:
    found = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    return tuple(Button(_text(row, "type").upper(), _text(row, "text"), _text(row, "url")) for row in found)


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""
