"""Partial updates: what a PATCH leaves out stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Objects of several kinds, and the field that tells the kind: another kind replaces the object as a whole.
_VARIANTS = {
    "avatar": "type",
    "trigger_action": "type",
    "backup_llm_config": "preference",
    "params": "system_tool_type",
}
_LOCATORS = frozenset({"secret_id", "env_var_label", "variable_name", "auth_connection_id"})


def merge(stored: Any, patch: Any, *, key: str = "") -> Any:
    """``stored`` with ``patch`` laid over it, object by object; neither is changed.

    Lists and plain values are replaced. ``null`` is kept: validation then gives the field its default, or takes
    the entry out of a map.
    """
    if not isinstance(stored, Mapping) or not isinstance(patch, Mapping) or _replaces(stored, patch, key):
        return patch
    merged = dict(stored)
    for name, value in patch.items():
        merged[name] = merge(stored.get(name), value, key=name)
    return merged


def _replaces(stored: Mapping[str, Any], patch: Mapping[str, Any], key: str) -> bool:
    kind = _VARIANTS.get(key)
    if kind is not None and kind in patch and patch[kind] != stored.get(kind):
        return True
    return not _LOCATORS.isdisjoint(patch)
