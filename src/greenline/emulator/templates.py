"""Message templates: created, reviewed, sent with parameters, shown as the person reads them."""

from __future__ import annotations

import re
from typing import Any, Final

from greenline.emulator.errors import MetaError
from greenline.emulator.world import Account, digits

_NAME: Final = re.compile(r"^[a-z0-9_]{1,512}$")
_HOLE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
_LIMITS: Final = {"BODY": 1024, "HEADER": 60, "FOOTER": 60}
CATEGORIES: Final = ("AUTHENTICATION", "MARKETING", "UTILITY")


def create(account: Account, body: dict[str, Any]) -> dict[str, Any]:
    """A new template in state PENDING. Raises `MetaError` for content that Meta refuses."""
    name, language, category = (str(body.get(key, "")) for key in ("name", "language", "category"))
    if not _NAME.match(name):
        raise MetaError(100, "Param name must be lowercase letters, digits and underscores.")
    if category.upper() not in CATEGORIES or not language:
        raise MetaError(100, "Param category and language are required.")
    if any(t["name"] == name and t["language"] == language for t in account.templates.values()):
        raise MetaError(2388023, f"{name} exists in {language} already.")
    components = body.get("components")
    if not isinstance(components, list) or not any(c.get("type") == "BODY" for c in components):
        raise MetaError(100, "Param components needs a BODY.")
    for component in components:
        text = str(component.get("text", ""))
        if len(text) > _LIMITS.get(str(component.get("type", "")), 2000):
            raise MetaError(132005, f"{component['type']} is too long.")
    template: dict[str, Any] = {
        "id": digits(),
        "name": name,
        "language": language,
        "category": category.upper(),
        "status": "PENDING",
        "parameter_format": str(body.get("parameter_format", "POSITIONAL")).upper(),
        "components": components,
        "quality_score": {"score": "UNKNOWN"},
    }
    account.templates[str(template["id"])] = template
    return template


def find(account: Account, template: dict[str, Any]) -> dict[str, Any]:
    """The approved template that a message names. Raises `MetaError` 132001, 132015 or 132016."""
    name = template.get("name")
    language = (template.get("language") or {}).get("code") if isinstance(template.get("language"), dict) else None
    for known in account.templates.values():
        if known["name"] == name and known["language"] == language:
            if known["status"] == "PAUSED":
                raise MetaError(132015, f"{name} is paused due to low quality.")
            if known["status"] == "DISABLED":
                raise MetaError(132016, f"{name} is disabled.")
            if known["status"] == "APPROVED":
                return known
    raise MetaError(132001, f"template name ({name}) does not exist in {language}")


def asks_to_call(template: dict[str, Any]) -> bool:
    """Whether the person is asked for the permission to be called."""
    return any(str(part.get("type")).upper() == "CALL_PERMISSION_REQUEST" for part in template["components"])


def fill(template: dict[str, Any], sent: dict[str, Any]) -> str:
    """What the person reads. Raises `MetaError` 132000 for a wrong number of parameters, 132012 for a wrong kind."""
    given = {str(c.get("type", "")).lower(): c for c in sent.get("components") or [] if isinstance(c, dict)}
    lines = []
    for component in template["components"]:
        kind = component["type"].upper()
        if kind in ("HEADER", "BODY") and component.get("text"):
            parameters = (given.get(kind.lower()) or {}).get("parameters") or []
            lines.append(_filled(component["text"], parameters, kind))
        elif kind == "HEADER":
            _media_header(component, given.get("header"))
            lines.append(f"[{component.get('format', 'MEDIA').lower()}]")
        elif kind == "FOOTER":
            lines.append(component["text"])
        elif kind == "BUTTONS":
            lines.extend(f"[{button['text']}]" for button in component.get("buttons", []))
    return "\n".join(lines)


def _filled(text: str, parameters: list[dict[str, Any]], kind: str) -> str:
    holes = list(dict.fromkeys(_HOLE.findall(text)))
    if len(parameters) != len(holes):
        raise MetaError(
            132000,
            f"{kind.lower()}: number of localizable_params ({len(parameters)}) does not match the expected number of "
            f"params ({len(holes)})",
        )
    values: dict[str, str] = {}
    for place, parameter in enumerate(parameters):
        if parameter.get("type", "text") != "text" or not parameter.get("text"):
            raise MetaError(132012, f"{kind.lower()}: parameter {place + 1} must be a text")
        name = parameter.get("parameter_name") or (holes[place] if holes[place].isdigit() else None)
        if name not in holes:
            raise MetaError(132000, f"{kind.lower()}: parameter name is missing or unknown")
        values[str(name)] = str(parameter["text"])
    return _HOLE.sub(lambda hole: values.get(hole.group(1), hole.group(0)), text)


def _media_header(component: dict[str, Any], sent: dict[str, Any] | None) -> None:
    wanted = str(component.get("format", "")).lower()
    parameters = (sent or {}).get("parameters") or []
    if len(parameters) != 1 or parameters[0].get("type") != wanted:
        raise MetaError(132012, f"header: Format mismatch, expected {wanted.upper()}, received something else")
