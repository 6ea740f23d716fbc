"""Whom and what a webhook names: identifiers that a key can hold, and the people of messages and calls."""

from __future__ import annotations

from typing import Any, Final

_MAX_ID: Final = 500  # the longest id that Meta documents, a wamid, has about 100 characters


def is_key(text: str) -> bool:
    """Whether a key of the database can hold it."""
    return len(text) <= _MAX_ID and text.isascii() and text.isprintable()


def identifier(value: object) -> str | None:
    """An identifier as text that a key can hold; None for everything else."""
    if type(value) is int:
        value = str(value) if abs(value) < 10**30 else None
    return value if isinstance(value, str) and value and is_key(value) else None


def person(message: dict[str, Any], contact: dict[str, Any] | None) -> tuple[str | None, str | None]:
    """Phone digits and business-scoped id of the sender; either may be absent (Meta: usernames)."""
    wa_id, bsuid = identifier(message.get("from")), identifier(message.get("from_user_id"))
    if contact is not None:
        wa_id = wa_id or identifier(contact.get("wa_id"))
        bsuid = bsuid or identifier(contact.get("user_id"))
    if wa_id is not None and "." in wa_id:
        return None, bsuid or wa_id
    return wa_id, bsuid


def previous_id(system: object) -> str | None:
    """The business-scoped id that a person had before the change which a system message tells of."""
    return identifier(system.get("previous_user_id")) if isinstance(system, dict) else None


def contact_of(message: dict[str, Any], contacts: object, *, alone: bool) -> dict[str, Any] | None:
    """That of a message or call among ``contacts``; the only one is, too, of an item that is ``alone``."""
    if not isinstance(contacts, list):
        return None
    user_id, wa_id = message.get("from_user_id"), message.get("from")
    for contact in contacts:
        if isinstance(contact, dict) and (
            (user_id is not None and contact.get("user_id") == user_id)
            or (wa_id is not None and contact.get("wa_id") == wa_id)
        ):
            return contact
    only = contacts[0] if alone and len(contacts) == 1 else None
    return only if isinstance(only, dict) else None
