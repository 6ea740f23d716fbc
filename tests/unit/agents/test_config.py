from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from greenline.agents.config import ConversationConfig, PlatformSettings
from greenline.agents.config.base import ConfigModel
from greenline.agents.config.limits import STORED
from greenline.agents.initiation import InitiationData

ROOTS: dict[str, type[ConfigModel]] = {
    "conversation_config": ConversationConfig,
    "platform_settings": PlatformSettings,
}


def nested(path: str, value: Any) -> dict[str, Any]:
    """``{"a": {"b": value}}`` for ``a.b``."""
    *above, last = path.split(".")
    whole: dict[str, Any] = {last: value}
    for name in reversed(above):
        whole = {name: whole}
    return whole


def at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[name]
    return value


LIMITS: list[tuple[str, list[Any], list[Any]]] = [
    ("tts.speed", [0.7, 1.2], [0.69, 1.21]),
    ("tts.stability", [0, 1], [-0.01, 1.01]),
    ("tts.similarity_boost", [0, 1], [-0.01, 1.01]),
    ("tts.supported_voices", [[{"label": "a", "voice_id": "v"}] * 10], [[{"label": "a", "voice_id": "v"}] * 11]),
    (
        "tts.suggested_audio_tags",
        [[{"tag": "a" * 30}] * 20],
        [[{"tag": "a"}] * 21, [{"tag": ""}], [{"tag": "a" * 31}]],
    ),
    ("conversation.background_sound", [{"volume": 0.01}, {"volume": 1}], [{"volume": 0}, {"volume": 1.1}]),
    ("conversation.file_input.max_files_in_memory", [1, 30], [0, 31]),
    ("turn.soft_timeout_config.message", ["a", "a" * 200], ["", "a" * 201]),
    ("turn.soft_timeout_config.additional_soft_timeout_messages", [["a"] * 7], [["a"] * 8]),
    ("turn.soft_timeout_config.max_soft_timeouts_per_generation", [1, 8], [0, 9]),
    ("turn.soft_timeout_config.llm_generated_message_prompt_override", ["a", "a" * 1000, None], ["", "a" * 1001]),
    ("agent.prompt.cascade_timeout_seconds", [2, 15], [1.9, 15.1]),
    ("agent.prompt.mcp_server_ids", [["a"] * 10], [["a"] * 11]),
    ("agent.prompt.native_mcp_server_ids", [["a"] * 10], [["a"] * 11]),
    ("agent.prompt.max_tokens", [-1, 1, 4096], [-5, -2, 0]),
    ("conversation.max_duration_seconds", [1, 86_400], [0, -1]),
    ("language_presets.de.overrides.conversation.max_duration_seconds", [1, None], [0]),
    ("agent.prompt.rag.max_vector_distance", [0.1], [0, -1]),
    ("agent.prompt.rag.max_documents_length", [1], [0]),
    ("agent.prompt.rag.max_retrieved_rag_chunks_count", [1, 20], [0, 21]),
    ("agent.prompt.rag.num_candidates", [1, 10000, None], [0, 10001]),
    ("agent.prompt.rag.query_rewrite_prompt_override", ["a", "a" * 1000], ["", "a" * 1001]),
    ("agent.prompt.timezone", ["Europe/Berlin", "UTC", None], ["Berlin", "../etc/passwd", "Mars/Olympus"]),
    ("asr.user_input_audio_format", ["ulaw_8000"], ["mp3_44100"]),
]


@pytest.mark.parametrize(("path", "accepted", "refused"), LIMITS, ids=[path for path, _, _ in LIMITS])
def test_limits_of_the_reference(path: str, accepted: list[Any], refused: list[Any]) -> None:
    for value in accepted:
        ConversationConfig.model_validate(nested(path, value))
    for value in refused:
        with pytest.raises(ValidationError) as error:
            ConversationConfig.model_validate(nested(path, value))
        places = [".".join(map(str, problem["loc"])) for problem in error.value.errors()]
        assert any(place.startswith(path) for place in places)


PLATFORM_LIMITS: list[tuple[str, list[Any], list[Any]]] = [
    ("auth.allowlist", [[{"hostname": "a"}] * 10], [[{"hostname": "a"}] * 11]),
    ("queueing_config.wait_timeout_seconds", [1, 1800], [0, 1801]),
    ("testing.attached_tests", [[{"test_id": "t"}] * 5000], [[{"test_id": "t"}] * 5001]),
    ("guardrails.content.config.sexual.threshold", [0, 1, "low"], [-0.1, 1.1, "lowest"]),
    (
        "guardrails.custom.config.configs",
        [[{"name": "a" * 500, "prompt": "a" * 10000}]],
        [[{"name": "", "prompt": "a"}]],
    ),
    (
        "alerting.notifiers",
        [[{"type": "webhook", "webhook_id": "w"}] * 10],
        [[{"type": "webhook", "webhook_id": "w"}] * 11],
    ),
    (
        "alerting.monitor_configs",
        [{"m": {"threshold": 1}}],
        [{"m": {"threshold": 1.1}}, {"m": {"min_failure_count": 0}}],
    ),
    ("privacy.retention_days", [-1, 0, 730], [-2]),
    (
        "evaluation.criteria",
        [[{"id": "i", "name": "n", "conversation_goal_prompt": "a" * 2000}] * 30],
        [
            [{"id": "i", "name": "n", "conversation_goal_prompt": "a" * 2001}],
            [{"id": "i"}],
            [{"id": str(n), "name": "n", "conversation_goal_prompt": "a"} for n in range(31)],
        ],
    ),
    (
        "data_collection",
        [{f"field_{n}": {"type": "string"} for n in range(40)}],
        [{f"field_{n}": {"type": "string"} for n in range(41)}],
    ),
]


@pytest.mark.parametrize(
    ("path", "accepted", "refused"), PLATFORM_LIMITS, ids=[path for path, _, _ in PLATFORM_LIMITS]
)
def test_limits_of_platform_settings(path: str, accepted: list[Any], refused: list[Any]) -> None:
    for value in accepted:
        PlatformSettings.model_validate(nested(path, value))
    for value in refused:
        with pytest.raises(ValidationError):
            PlatformSettings.model_validate(nested(path, value))


def test_what_was_stored_before_there_was_a_limit_is_read() -> None:
    criterion = {"id": "i", "name": "n", "conversation_goal_prompt": "a"}
    config = {"conversation": {"max_duration_seconds": 0}, "agent": {"prompt": {"max_tokens": -5}}}
    platform = {
        "evaluation": {"criteria": [criterion] * 31},
        "data_collection": {f"field_{n}": {"type": "string"} for n in range(41)},
    }

    read = ConversationConfig.model_validate(config, context=STORED)
    assert (read.conversation.max_duration_seconds, read.agent.prompt.max_tokens) == (0, -5)
    settings = PlatformSettings.model_validate(platform, context=STORED)
    assert (len(settings.evaluation.criteria), len(settings.data_collection)) == (31, 41)
    assert InitiationData.model_validate({"user_id": "u" * 501}, context=STORED).user_id == "u" * 501


def test_the_description_of_the_api_has_the_limits_that_hold_for_what_is_written() -> None:
    described = ConversationConfig.model_json_schema()["$defs"]
    platform = PlatformSettings.model_json_schema()

    assert described["ConversationSettings"]["properties"]["max_duration_seconds"]["minimum"] == 1
    assert platform["$defs"]["EvaluationSettings"]["properties"]["criteria"]["maxItems"] == 30
    assert platform["properties"]["data_collection"]["maxProperties"] == 40
    assert InitiationData.model_json_schema()["properties"]["user_id"]["anyOf"][0]["maxLength"] == 500


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("asr.quality", "high"),
        ("agent.prompt.llm", "gemini-2.5-flash"),
        ("agent.prompt.tool_ids", []),
        ("tts.speed", 1.0),
        ("turn.soft_timeout_config", {"timeout_seconds": -1.0}),
    ],
)
def test_null_gives_the_default_where_null_is_no_value(path: str, default: Any) -> None:
    read = at(ConversationConfig.model_validate(nested(path, None)).model_dump(mode="json"), path)

    assert read == default or default.items() <= read.items()


def test_null_is_kept_where_it_is_a_value() -> None:
    config = ConversationConfig.model_validate({"agent": {"prompt": {"temperature": None}}})

    assert config.agent.prompt.temperature is None


def test_null_takes_an_entry_out_of_a_map() -> None:
    config = ConversationConfig.model_validate({"language_presets": {"de": None, "fr": {"overrides": {}}}})

    assert list(config.language_presets) == ["fr"]


def test_unknown_fields_are_kept_at_every_depth() -> None:
    sent = {
        "future": {"a": [1, None]},
        "vad": {"background_voice_detection": True},
        "turn": {"mode": "turn"},
        "agent": {"prompt": {"knowledge_base": [{"type": "file", "name": "n", "id": "i", "future": 1}], "x": None}},
    }
    read = ConversationConfig.model_validate(sent).model_dump(mode="json")

    assert read["future"] == {"a": [1, None]}
    assert read["vad"] == {"background_voice_detection": True}
    assert read["turn"]["mode"] == "turn"
    assert read["agent"]["prompt"]["knowledge_base"][0]["future"] == 1
    assert read["agent"]["prompt"]["x"] is None


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 2**60])
def test_numbers_that_json_clients_cannot_read_are_refused(value: float) -> None:
    with pytest.raises(ValidationError):
        ConversationConfig.model_validate({"agent": {"prompt": {"max_tokens": value}}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)


@given(
    root=st.sampled_from(sorted(ROOTS)),
    extra=st.dictionaries(st.text(min_size=1, max_size=6).map(lambda name: f"x_{name}"), json_values, max_size=3),
)
def test_what_is_read_back_can_be_sent_again(root: str, extra: dict[str, Any]) -> None:
    model = ROOTS[root]
    once = model.model_validate(extra).model_dump(mode="json")

    assert model.model_validate(once).model_dump(mode="json") == once
    assert extra.items() <= once.items()


def problems(sent: Any) -> list[Any]:
    try:
        ConversationConfig.model_validate(sent)
    except ValidationError as error:
        return list(error.errors())
    return []


@given(sent=st.dictionaries(st.sampled_from([*ConversationConfig.model_fields]), json_values, max_size=4))
def test_any_json_is_accepted_or_refused_with_places(sent: dict[str, Any]) -> None:
    assert all(problem["loc"][0] in sent for problem in problems(sent))
