"""Arguments that the business gives in place of the model (reference: ``input_overrides`` of a tool).

They are named by their path: ``order.customer_id``. A path that the schema does not have changes nothing of it, and
its value is sent all the same.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from greenline.agents.config.service_tools import ConstantOverride, ModelOverride, SchemaOverride, VariableOverride


def shown_schema(schema: Mapping[str, Any], overrides: Mapping[str, SchemaOverride]) -> dict[str, Any]:
    """What the model has to give: without what comes from elsewhere, described as the business wants it."""
    shown: dict[str, Any] = copy.deepcopy(dict(schema))
    for path, override in overrides.items():
        *parents, name = path.split(".")
        node: Any = shown
        for parent in parents:
            node = _properties(node).get(parent)
        if name not in _properties(node):
            continue
        if isinstance(override, ModelOverride):
            if override.prompt and isinstance(node["properties"][name], dict):
                node["properties"][name]["description"] = override.prompt
        else:
            del node["properties"][name]
            node["required"] = [item for item in node.get("required") or () if item != name]
    return shown


def given_arguments(
    arguments: Mapping[str, Any], overrides: Mapping[str, SchemaOverride], variables: Mapping[str, Any]
) -> dict[str, Any]:
    """The model's arguments with what comes from elsewhere in its place; an unknown variable leaves a gap."""
    given: dict[str, Any] = copy.deepcopy(dict(arguments))
    for path, override in overrides.items():
        if isinstance(override, ModelOverride):
            continue
        *parents, name = path.split(".")
        node = given
        for parent in parents:
            inner = node.get(parent)
            if not isinstance(inner, dict):
                inner = node[parent] = {}
            node = inner
        node.pop(name, None)
        if isinstance(override, ConstantOverride):
            node[name] = override.constant_value
        elif isinstance(override, VariableOverride) and override.dynamic_variable in variables:
            node[name] = variables[override.dynamic_variable]
    return given


def _properties(node: Any) -> dict[str, Any]:
    found = node.get("properties") if isinstance(node, dict) else None
    return found if isinstance(found, dict) else {}
