"""Message templates of a business account: created, edited, deleted, found when they are sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from greenline.emulator.checks import one_of
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.quotas import take
from greenline.emulator.template_content import PARAMETER_FORMATS, Example, checked, unknown
from greenline.emulator.world import Account, digits

_NAME: Final = re.compile(r"[a-z0-9_]{1,512}")
_EDITABLE: Final = ("APPROVED", "REJECTED", "PAUSED")
RESERVED_SECONDS: Final = 30 * 86_400.0  # Meta: the name of a deleted template
CATEGORIES: Final = ("AUTHENTICATION", "MARKETING", "UTILITY")


def create(
    account: Account, body: dict[str, Any], now: float, config: Config, example: Example = unknown
) -> dict[str, Any]:
    """A new template in state PENDING. Raises `MetaError` for content that Meta refuses, and for too many of them."""
    name, language = body.get("name"), body.get("language")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise MetaError(100, "Param name must be lowercase letters, digits and underscores.")
    if not isinstance(language, str) or not re.fullmatch(r"[a-z]{2,3}(_[A-Z]{2,3})?", language):
        raise MetaError(100, "Param language must be a locale, such as en or en_US.")
    category = one_of(str(body.get("category", "")).upper(), "category", CATEGORIES)
    style = one_of(str(body.get("parameter_format", "POSITIONAL")).upper(), "parameter_format", PARAMETER_FORMATS)
    components = checked(body.get("components"), category, style, example)
    _check_name(account, name, language, now)
    if len(account.templates) >= config.templates_per_account:
        raise MetaError(100, f"The account has {config.templates_per_account} templates.", subcode=2388019)
    if not take(account.template_creations, now, 3600.0, config.template_creations_per_hour):
        raise MetaError(80007, f"An account creates at most {config.template_creations_per_hour} templates an hour.")
    template: dict[str, Any] = {
        "id": digits(),
        "name": name,
        "language": language,
        "category": category,
        "status": "PENDING",
        "parameter_format": style,
        "components": components,
        "quality_score": {"score": "UNKNOWN", "date": int(now)},
        "rejected_reason": "NONE",
    }
    account.templates[template["id"]] = template
    return template


def edit(template: dict[str, Any], changes: dict[str, Any], example: Example = unknown) -> None:
    """Replace the components or the category. Raises `MetaError` 100 for a template in the wrong state, too."""
    if template["status"] not in _EDITABLE:
        raise MetaError(100, f"A template in the state {template['status']} can't be edited.")
    if not {"components", "category"} & changes.keys():
        raise MetaError(100, "One of the parameters components and category is required.")
    category = one_of(str(changes.get("category", template["category"])).upper(), "category", CATEGORIES)
    components = changes.get("components", template["components"])
    components = checked(components, category, template["parameter_format"], example)
    template.update(components=components, category=category)


def doomed(account: Account, name: str | None, template_id: str | None, now: float) -> list[str]:
    """Ids of the templates of a name, or one of them, to be deleted; the name is reserved. Raises `MetaError` 100."""
    named = [t for t in account.templates.values() if t["name"] == name and t["status"] != "PENDING_DELETION"]
    found = [t for t in named if template_id in (None, t["id"])]
    if not found:
        raise MetaError(100, "No template has this name.", subcode=2593002)
    for template in found:
        account.reserved[template["name"], template["language"]] = now + RESERVED_SECONDS
    return [template["id"] for template in found]


def search(account: Account, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """The templates that a list asks for: parts of names and contents, and words of which there may be several."""
    found = list(account.templates.values())
    for key in ("status", "language", "category"):
        if wanted := _words(query.get(key)):
            found = [t for t in found if t[key].upper() in wanted]
    if wanted := _words(query.get("quality_score")):
        found = [t for t in found if t["quality_score"]["score"] in wanted]
    name, content, either = (query.get(key, "").lower() for key in ("name", "content", "name_or_content"))
    return [t for t in found if name in t["name"] and content in _text(t) and either in t["name"] + "\n" + _text(t)]


def _words(listed: str | None) -> set[str]:
    return {word.strip().upper() for word in re.sub(r'[\[\]"]', "", listed or "").split(",")} - {""}


def _text(template: dict[str, Any]) -> str:
    return "\n".join(str(component.get("text", "")) for component in template["components"]).lower()


def find(account: Account, sent: dict[str, Any]) -> dict[str, Any]:
    """The approved template that a message names. Raises `MetaError` 132001, 132015 or 132016."""
    name, language = sent.get("name"), sent.get("language")
    code = language.get("code") if isinstance(language, dict) else None
    for known in account.templates.values():
        if known["name"] == name and known["language"] == code:
            if known["status"] == "PAUSED":
                raise MetaError(132015, f"{name} is paused due to low quality.")
            if known["status"] == "DISABLED":
                raise MetaError(132016, f"{name} is disabled.")
            if known["status"] == "APPROVED":
                return known
    raise MetaError(132001, f"template name ({name}) does not exist in {code}")


def _check_name(account: Account, name: str, language: str, now: float) -> None:
    languages = {template["language"] for template in account.templates.values() if template["name"] == name}
    if language in languages:
        raise MetaError(100, f"{name} exists in {language} already.", subcode=2388024)
    reserved = {known[1] for known, until in account.reserved.items() if known[0] == name and until > now}
    if language in reserved or (reserved and not languages):
        raise MetaError(100, f"{name} was deleted; its name can be used again after 30 days.", subcode=2388023)
