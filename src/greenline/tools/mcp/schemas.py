"""Whether a model can be told of a tool whose schema a foreign server wrote.

A provider refuses a whole request for one schema that it does not understand: a bad tool would silence its agent. So
what is no JSON Schema, or is endless, or points out of itself, is left out, and the others are offered. What only
some providers refuse is taken off: the server checks the arguments anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from greenline.text import is_deeper

MAX_BYTES: Final = 32_768
"""A schema of this size takes some 8,000 tokens of every request."""
MAX_DEPTH: Final = 32
"""Schemas within each other: some 64 lists and objects."""
MAX_LEVELS: Final = 100
"""Lists and objects within each other, those of defaults and examples too."""

_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_SCHEMAS: Final = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
"""Anthropic takes no other names of properties."""
_NOT_AT_ROOT: Final = frozenset(
    {"$schema", "$id", "anyOf", "oneOf", "allOf", "not", "enum", "const", "if", "then", "else"}
)
"""OpenAI and Anthropic want a plain object there; Gemini does not know the first two."""
_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def fault_of(schema: Mapping[str, Any]) -> str:
    """Why a tool with this input can't be offered; empty when it can."""
    if len(orjson.dumps(schema)) > MAX_BYTES:
        return f"its input schema is larger than {MAX_BYTES:,} bytes"
    if schema.get("type") != "object":
        return "its input schema is not of type object"
    if is_deeper(schema, MAX_LEVELS):
        return f"its input schema is nested deeper than {MAX_LEVELS} levels"
    return next(_faults(schema, "", MAX_DEPTH), "")


def plain_object(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without `fault_of` as every provider takes it."""
    whole: dict[str, Any] = _with_items(schema)
    return {"properties": {}, **{key: value for key, value in whole.items() if key not in _NOT_AT_ROOT}}


def _with_items(node: Any) -> Any:
    """OpenAI refuses an array that does not say of what."""
    if isinstance(node, list):
        return [_with_items(inner) for inner in node]
    if not isinstance(node, Mapping):
        return node
    found = {key: _with_items(inner) for key, inner in node.items()}
    return {"items": {}, **found} if found.get("type") == "array" else found


def _faults(node: Any, place: str, levels: int) -> Iterator[str]:
    if isinstance(node, bool):
        return
    if not isinstance(node, Mapping):
        yield f"its input schema has no schema at {place}"
        return
    if levels == 0:
        yield f"its input schema has more than {MAX_DEPTH} schemas within each other"
        return
    yield from _own_faults(node, place or "its root")
    for key, inner in _inner(node):
        yield from _faults(inner, f"{place}/{key}", levels - 1)


def _own_faults(node: Mapping[str, Any], place: str) -> Iterator[str]:
    types = node.get("type", [])
    named = types if isinstance(types, list) else [types]
    if not all(isinstance(name, str) and name in _TYPES for name in named):
        yield f"its input schema names an unknown type at {place}"
    if not str(node.get("$ref", "#")).startswith("#"):
        yield f"its input schema points out of itself at {place}"
    properties = node.get("properties")
    for name in properties if isinstance(properties, Mapping) else ():
        if not _NAME.fullmatch(name):
            yield f"its input schema has a property with an unusual name at {place}"
    for key in ("required", "enum"):
        if key in node and not isinstance(node[key], list):
            yield f"its input schema has no list {key} at {place}"
    for key in _MAPS:
        if key in node and not isinstance(node[key], Mapping):
            yield f"its input schema has no object {key} at {place}"


def _inner(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in _SCHEMAS:
        if key in node and not isinstance(node[key], list):  # a list of items is older than the schema of today
            yield key, node[key]
    for key in _LISTS:
        for place, inner in enumerate(node[key] if isinstance(node.get(key), list) else ()):
            yield f"{key}/{place}", inner
    for key in _MAPS:
        for name, inner in (node[key] if isinstance(node.get(key), Mapping) else {}).items():
            yield f"{key}/{name}", inner
