"""The business profile of a number (Meta: Business profiles)."""

from __future__ import annotations

from typing import Any, Final

from greenline.emulator.checks import is_address, one_of
from greenline.emulator.errors import MetaError
from greenline.emulator.world import Number

VERTICALS: Final = (
    *("UNDEFINED", "OTHER", "AUTO", "BEAUTY", "APPAREL", "EDU", "ENTERTAIN", "EVENT_PLAN", "FINANCE", "GROCERY"),
    *("GOVT", "HOTEL", "HEALTH", "NONPROFIT", "PROF_SERVICES", "RETAIL", "TRAVEL", "RESTAURANT", "NOT_A_BIZ"),
)
_DEFAULTS: Final[dict[str, Any]] = {
    "about": "Hey there! I am using WhatsApp.",
    "address": "",
    "description": "",
    "email": "",
    "vertical": "UNDEFINED",
    "websites": [],
}
_LONGEST: Final = {"about": 139, "address": 256, "description": 512, "email": 128}
_WEBSITES, _LONGEST_WEBSITE = 2, 256


def shown(number: Number) -> dict[str, Any]:
    """Every field, those that nobody has set as a new number has them."""
    return {"messaging_product": "whatsapp", **_DEFAULTS, **number.profile}


def change(number: Number, body: dict[str, Any]) -> None:
    """Set what the body names, and leave the rest. Raises `MetaError` 100."""
    changes = {name: value for name, value in body.items() if name in _DEFAULTS}
    for name, longest in _LONGEST.items():
        value = changes.get(name, "")
        if not isinstance(value, str) or len(value) > longest:
            raise MetaError(100, f"Param {name} must be a string of at most {longest} characters.")
    if changes.get("about") == "":
        raise MetaError(100, "Param about must not be empty.")
    one_of(changes.get("vertical", "UNDEFINED"), "vertical", VERTICALS)
    websites = changes.get("websites", [])
    if not isinstance(websites, list) or len(websites) > _WEBSITES or not all(map(_is_website, websites)):
        raise MetaError(100, f"Param websites must be at most {_WEBSITES} addresses.")
    number.profile.update(changes)


def _is_website(value: Any) -> bool:
    return is_address(value) and len(value) <= _LONGEST_WEBSITE
