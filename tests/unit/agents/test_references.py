from __future__ import annotations

from typing import Any

from greenline.agents.models import AgentDefinition
from greenline.agents.references import without_agent


def stored(**parts: Any) -> dict[str, Any]:
    return AgentDefinition.model_validate(parts).model_dump(mode="json")


def transfer(*agent_ids: str) -> dict[str, Any]:
    return {
        "name": "transfer_to_agent",
        "type": "system",
        "params": {
            "system_tool_type": "transfer_to_agent",
            "transfers": [{"agent_id": agent_id, "condition": "c"} for agent_id in agent_ids],
        },
    }


def prompt(**parts: Any) -> dict[str, Any]:
    return {"agent": {"prompt": parts}}


def test_an_agent_that_is_not_used_changes_nothing() -> None:
    config = stored(
        conversation_config=prompt(built_in_tools={"transfer_to_agent": transfer("agent_b")}, prompt="agent_a")
    )

    assert without_agent(config, "agent_a") is None
    assert without_agent(stored(), "agent_a") is None


def test_a_transfer_leaves_its_list() -> None:
    config = stored(conversation_config=prompt(built_in_tools={"transfer_to_agent": transfer("agent_a", "agent_b")}))
    before = stored(conversation_config=prompt(built_in_tools={"transfer_to_agent": transfer("agent_a", "agent_b")}))

    changed = without_agent(config, "agent_a")

    assert changed == stored(conversation_config=prompt(built_in_tools={"transfer_to_agent": transfer("agent_b")}))
    assert config == before


def test_a_tool_without_transfers_is_switched_off() -> None:
    config = stored(
        conversation_config=prompt(
            built_in_tools={"transfer_to_agent": transfer("agent_a")}, tools=[transfer("agent_a")]
        )
    )

    assert without_agent(config, "agent_a") == stored()


def test_nodes_leave_the_workflow_with_their_edges() -> None:
    always = {"type": "unconditional"}
    workflow = {
        "nodes": {
            "start_node": {"type": "start", "edge_order": ["to_a", "to_b"]},
            "a": {"type": "standalone_agent", "agent_id": "agent_a"},
            "b": {
                "type": "override_agent",
                "conversation_config": prompt(built_in_tools={"transfer_to_agent": transfer("agent_a")}),
            },
        },
        "edges": {
            "to_a": {"source": "start_node", "target": "a", "forward_condition": always},
            "to_b": {"source": "start_node", "target": "b", "forward_condition": always},
        },
    }

    changed = without_agent(stored(workflow=workflow), "agent_a")

    assert changed is not None
    assert sorted(changed["workflow"]["nodes"]) == ["b", "start_node"]
    assert list(changed["workflow"]["edges"]) == ["to_b"]
    assert changed["workflow"]["nodes"]["start_node"]["edge_order"] == ["to_b"]
    assert without_agent(changed, "agent_a") is None
    AgentDefinition.model_validate(changed)
