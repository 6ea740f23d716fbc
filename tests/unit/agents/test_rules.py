from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from greenline.agents.merge import merge
from greenline.agents.models import AgentDefinition, EnglishOnlyModel
from greenline.agents.rules import apply_rules
from greenline.agents.variables import UnknownVariable


def ruled(**parts: Any) -> AgentDefinition:
    return apply_rules(AgentDefinition.model_validate(parts))


@pytest.mark.parametrize("model", ["eleven_flash_v2", "eleven_turbo_v2"])
def test_an_english_only_model_is_refused_for_another_language(model: str) -> None:
    with pytest.raises(EnglishOnlyModel, match="language is de") as error:
        ruled(conversation_config={"agent": {"language": "de"}, "tts": {"model_id": model}})

    assert error.value.detail()["param"] == "conversation_config.tts.model_id"


@pytest.mark.parametrize(
    ("config", "chooser"),
    [
        ({"agent": {"prompt": {"llm": "custom-llm"}}}, "agent.prompt.llm"),
        (
            {"agent": {"prompt": {"backup_llm_config": {"preference": "override", "order": ["custom-llm"]}}}},
            "agent.prompt.backup_llm_config.order",
        ),
        (
            {"language_presets": {"de": {"overrides": {"agent": {"prompt": {"llm": "custom-llm"}}}}}},
            "language_presets.de.overrides.agent.prompt.llm",
        ),
    ],
)
def test_an_own_model_needs_its_address(config: dict[str, Any], chooser: str) -> None:
    with pytest.raises(ValidationError) as error:
        ruled(conversation_config=config)

    (problem,) = error.value.errors()
    assert (problem["type"], problem["loc"]) == ("missing", ("conversation_config", "agent", "prompt", "custom_llm"))
    assert f"{chooser} is custom-llm" in problem["msg"]
    own = {"agent": {"prompt": {"custom_llm": {"url": "https://llm.example/v1"}}}}
    ruled(conversation_config=merge(config, own))


@pytest.mark.parametrize("place", ["first_message", "prompt"])
def test_a_system_variable_that_there_is_not_is_refused(place: str) -> None:
    text = "{{system__tmie}} {{system__env_host}} {{system__time}}"
    agent = {"prompt": {"prompt": text}} if place == "prompt" else {"first_message": text}
    with pytest.raises(UnknownVariable, match="system__tmie: the server sets no such variable") as error:
        ruled(conversation_config={"agent": agent})

    assert error.value.http_status == 400


@pytest.mark.parametrize(
    ("language", "model"),
    [("en", "eleven_flash_v2"), ("de", "eleven_flash_v2_5"), ("ja", "eleven_multilingual_v2"), ("de", "own_model")],
)
def test_other_pairs_of_language_and_model_are_accepted(language: str, model: str) -> None:
    ruled(conversation_config={"agent": {"language": language}, "tts": {"model_id": model}})


@pytest.mark.parametrize(
    ("turn_model", "provider", "stored"),
    [
        ("turn_v3", "elevenlabs", "scribe_realtime"),
        ("turn_v2", "elevenlabs", "elevenlabs"),
        ("turn_v3", "scribe_v2_turbo", "scribe_v2_turbo"),
    ],
)
def test_the_default_turn_model_chooses_the_recogniser(turn_model: str, provider: str, stored: str) -> None:
    definition = ruled(conversation_config={"turn": {"turn_model": turn_model}, "asr": {"provider": provider}})

    assert definition.conversation_config.asr.provider == stored


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (
            {"delete_audio": True, "delete_transcript_and_pii": True},
            {"delete_audio": False, "delete_transcript_and_pii": False},
        ),
        (
            {"retention_days": 30, "delete_audio": True},
            {"retention_days": 30, "delete_audio": True, "delete_transcript_and_pii": False},
        ),
        (
            {"zero_retention_mode": True, "retention_days": 30, "delete_audio": True},
            {"zero_retention_mode": True, "retention_days": -1, "record_voice": False, "delete_audio": False},
        ),
    ],
)
def test_privacy_is_made_consistent(sent: dict[str, Any], stored: dict[str, Any]) -> None:
    privacy = ruled(platform_settings={"privacy": sent}).platform_settings.privacy.model_dump()

    assert stored.items() <= privacy.items()


def test_unconditional_edges_come_last_and_the_others_keep_their_order() -> None:
    def edge(source: str, target: str, kind: str) -> dict[str, Any]:
        return {"source": source, "target": target, "forward_condition": {"type": kind, "condition": "c"}}

    workflow = {
        "nodes": {
            "start_node": {"type": "start", "edge_order": ["always", "b", "a", "gone"]},
            "one": {"type": "override_agent"},
            "two": {"type": "override_agent"},
            "three": {"type": "end"},
        },
        "edges": {
            "always": edge("start_node", "one", "unconditional"),
            "a": edge("start_node", "two", "llm"),
            "b": edge("start_node", "three", "llm"),
        },
    }

    assert ruled(workflow=workflow).workflow.nodes["start_node"].edge_order == ["b", "a", "gone", "always"]


def test_the_condition_of_the_way_back_counts_at_the_other_end() -> None:
    workflow = {
        "nodes": {
            "start_node": {"type": "start", "edge_order": ["e"]},
            "a": {"type": "override_agent", "edge_order": ["e", "f"]},
            "b": {"type": "end"},
        },
        "edges": {
            "e": {
                "source": "start_node",
                "target": "a",
                "forward_condition": {"type": "llm", "condition": "c"},
                "backward_condition": {"type": "unconditional"},
            },
            "f": {"source": "a", "target": "b", "forward_condition": {"type": "llm", "condition": "c"}},
        },
    }

    assert ruled(workflow=workflow).workflow.nodes["a"].edge_order == ["f", "e"]
