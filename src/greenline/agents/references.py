"""Where an agent hands conversations to another one, and how such places are taken out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any


def without_agent(config: dict[str, Any], agent_id: str) -> dict[str, Any] | None:
    """A stored definition without its hand-overs to an agent, or None when it has none.

    Transfers leave their list (a tool that has none left is switched off), nodes the workflow, with their edges.
    """
    changed = copy.deepcopy(config)
    nodes = changed["workflow"]["nodes"]
    prompts = [part.get("agent", {}).get("prompt", {}) for part in _configs(changed)]
    found = [_drop_transfers(prompt, agent_id) for prompt in prompts]
    gone = {key for key, node in nodes.items() if node["type"] == "standalone_agent" and node["agent_id"] == agent_id}
    if gone:
        _drop_nodes(changed["workflow"], gone)
    return changed if gone or any(found) else None


def _configs(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The agent's conversation configuration and those of its workflow nodes."""
    yield config["conversation_config"]
    for node in config["workflow"]["nodes"].values():
        if "conversation_config" in node:
            yield node["conversation_config"]


def _drop_transfers(prompt: dict[str, Any], agent_id: str) -> bool:
    built_in = prompt.get("built_in_tools") or {}
    inline = prompt.get("tools") or []
    tools = [built_in.get("transfer_to_agent"), *inline]
    found = False
    for tool in tools:
        params = (tool or {}).get("params") or {}
        kept = [transfer for transfer in params.get("transfers", ()) if transfer.get("agent_id") != agent_id]
        if "transfers" in params and len(kept) < len(params["transfers"]):
            params["transfers"], found = kept, True
    if not found:
        return False
    if _is_empty(built_in.get("transfer_to_agent")):
        built_in["transfer_to_agent"] = None
    if inline:
        prompt["tools"] = [tool for tool in inline if not _is_empty(tool)]
    return True


def _is_empty(tool: dict[str, Any] | None) -> bool:
    return tool is not None and (tool.get("params") or {}).get("transfers") == []


def _drop_nodes(workflow: dict[str, Any], gone: set[str]) -> None:
    edges = {
        key: edge
        for key, edge in workflow["edges"].items()
        if edge["source"] not in gone and edge["target"] not in gone
    }
    workflow["edges"] = edges
    workflow["nodes"] = {
        key: {**node, "edge_order": [edge for edge in node["edge_order"] if edge in edges]}
        for key, node in workflow["nodes"].items()
        if key not in gone
    }
