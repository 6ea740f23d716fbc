from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from greenline.agents.config import Workflow

START = {"start_node": {"type": "start"}}


def workflow(nodes: dict[str, Any], **edges: Any) -> dict[str, Any]:
    return {"nodes": {**START, **nodes}, "edges": edges}


def edge(source: str, target: str, **more: Any) -> dict[str, Any]:
    return {"source": source, "target": target, "forward_condition": {"type": "unconditional"}, **more}


AGENT = {"type": "override_agent"}
END = {"type": "end"}
BACK = {"backward_condition": {"type": "llm", "condition": "c"}}


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"nodes": {"begin": {"type": "start"}}}, "with the id start_node"),
        (workflow({"second": {"type": "start"}}), "one node of type start"),
        (workflow({"a": AGENT}, e=edge("start_node", "b")), "edge e: there is no node b"),
        (
            workflow({"a": AGENT}, e=edge("start_node", "a"), f=edge("a", "start_node")),
            "edge f: there is one already",
        ),
        (workflow({"a": END, "b": AGENT}, e=edge("a", "b")), "nothing follows an end node"),
        (workflow({"a": END}, e=edge("start_node", "a", **BACK)), "nothing follows an end node"),
        (workflow({"a": {"type": "dream"}}), "does not match any of the expected tags"),
        (workflow({"a": {"type": "update_state", "updates": [{}] * 11}}), "at most 10 items"),
        (workflow({"a": {"type": "standalone_agent", "node_id": ""}}), "at least 1 character"),
    ],
)
def test_workflows_that_cannot_run_are_refused(sent: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Workflow.model_validate(sent)


def test_a_way_back_is_a_condition_of_the_same_edge() -> None:
    read = Workflow.model_validate(workflow({"a": AGENT}, e=edge("start_node", "a", **BACK))).model_dump(mode="json")

    edge_read = read["edges"]["e"]
    assert (edge_read["target"], edge_read["backward_condition"]["condition"]) == ("a", "c")


def test_an_empty_expression_is_false() -> None:
    sent = workflow(
        {"a": AGENT}, e=edge("start_node", "a", forward_condition={"type": "expression", "expression": {}})
    )

    read = Workflow.model_validate(sent).model_dump(mode="json")

    assert read["edges"]["e"]["forward_condition"]["expression"] == {"type": "boolean_literal", "value": False}


def test_a_node_keeps_only_the_settings_that_it_changes() -> None:
    config = {"agent": {"prompt": {"temperature": 1, "llm": None}, "language": None}, "tts": None, "future": {"a": 1}}

    read = Workflow.model_validate(workflow({"a": {**AGENT, "conversation_config": config}})).model_dump(mode="json")

    assert read["nodes"]["a"]["conversation_config"] == {"agent": {"prompt": {"temperature": 1}}, "future": {"a": 1}}


def test_settings_of_a_node_have_the_limits_of_the_agents() -> None:
    with pytest.raises(ValidationError) as error:
        Workflow.model_validate(workflow({"a": {**AGENT, "conversation_config": {"tts": {"speed": 2}}}}))

    assert error.value.errors()[0]["loc"][-3:] == ("conversation_config", "tts", "speed")
