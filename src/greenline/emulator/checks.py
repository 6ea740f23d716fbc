"""Checks of values in bodies that have Meta's words for what is wrong. Pure; each raises `MetaError`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from greenline.emulator.errors import MetaError


def a_text(value: Any, name: str, limit: int) -> str:
    """A string of 1 to ``limit`` characters: 131008 if there is none, else 131009."""
    if not isinstance(value, str) or not value:
        raise MetaError(131008, f"The parameter {name} is required.")
    if len(value) > limit:
        raise MetaError(131009, f"{name} length invalid. Min length: 1, Max length: {limit}")
    return value


def an_object(value: Any, name: str) -> dict[str, Any]:
    """An object: 131008 if there is none, else 100."""
    if value is None:
        raise MetaError(131008, f"The parameter {name} is required.")
    if not isinstance(value, dict):
        raise MetaError(100, f"Param {name} must be an object.")
    return value


def objects(value: Any, name: str) -> list[dict[str, Any]]:
    """A list of objects: 131008 if there is none, else 100."""
    if value is None:
        raise MetaError(131008, f"The parameter {name} is required.")
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MetaError(100, f"Param {name} must be a list of objects.")
    return value


def one_of(value: Any, name: str, known: Collection[str]) -> str:
    """One of the words that Meta knows: 100."""
    if not isinstance(value, str) or value not in known:
        raise MetaError(100, f"Param {name} must be one of {{{', '.join(known)}}}.")
    return value


def a_file(kind: str, value: Any) -> None:
    """A file by id or by link: 131008, or 131009 for a link that is no address."""
    file = an_object(value, kind)
    if bool(file.get("id")) == bool(file.get("link")):
        raise MetaError(131008, f"{kind} needs either an id or a link.")
    if file.get("id") and not isinstance(file["id"], str | int):
        raise MetaError(100, f"Param {kind}['id'] must be a string.")
    if file.get("link"):
        an_address(file["link"], f"{kind}['link']")
    if file.get("filename") is not None and (kind != "document" or not isinstance(file["filename"], str)):
        raise MetaError(100, "Param filename must be a string, and is for documents alone.")


def an_address(value: Any, name: str) -> str:
    """An ``http`` or ``https`` address: 131009."""
    if not is_address(value):
        raise MetaError(131009, f"Param {name} must be a valid URL.")
    return str(value)


def is_address(value: Any) -> bool:
    """Whether it is an ``http`` or ``https`` address."""
    if not isinstance(value, str) or not value.isprintable():
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
