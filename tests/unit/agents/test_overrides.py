from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.agents.config import ConfigOverride, ConversationConfig
from greenline.agents.config.platform_settings import PlatformSettings
from greenline.agents.config.switches import OverrideSettings
from greenline.agents.initiation import InitiationData
from greenline.agents.overrides import (
    NoOwnModel,
    OverrideNotAllowed,
    apply_overrides,
    check_start,
    in_language,
    switches,
)
from greenline.agents.variables import ReservedVariable

VALUES: dict[tuple[str, ...], Any] = {
    ("asr", "keywords"): ["Greenline"],
    ("turn", "soft_timeout_config", "message"): "One moment",
    ("turn", "soft_timeout_config", "additional_soft_timeout_messages"): ["Still looking"],
    ("turn", "noisy_environment_message"): "It is loud",
    ("tts", "model_id"): "eleven_flash_v2_5",
    ("tts", "voice_id"): "voice",
    ("tts", "supported_voices"): [{"label": "a", "voice_id": "b"}],
    ("tts", "stability"): 0.1,
    ("tts", "speed"): 1.1,
    ("tts", "similarity_boost"): 0.2,
    ("tts", "clone_strength"): 0.3,
    ("tts", "pronunciation_dictionary_locators"): [{"pronunciation_dictionary_id": "p", "version_id": None}],
    ("conversation", "text_only"): True,
    ("conversation", "max_duration_seconds"): 30,
    ("conversation", "client_events"): ["audio", "agent_response"],
    ("agent", "first_message"): "Hallo",
    ("agent", "language"): "de",
    ("agent", "max_conversation_duration_message"): "Time is up",
    ("agent", "prompt", "prompt"): "Be brief",
    ("agent", "prompt", "llm"): "gpt-4o",
    ("agent", "prompt", "reasoning_effort"): "low",
    ("agent", "prompt", "tool_ids"): ["tool_1"],
    ("agent", "prompt", "tool_ids_strict"): True,
    ("agent", "prompt", "native_mcp_server_ids"): ["m"],
    ("agent", "prompt", "knowledge_base"): [{"type": "file", "name": "n", "id": "i", "usage_mode": "prompt"}],
}
CONFIG = ConversationConfig.model_validate({"agent": {"prompt": {"tool_ids": ["old", "older"]}}})


def tree(path: tuple[str, ...], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


def settings(*paths: tuple[str, ...], **switches: bool) -> OverrideSettings:
    allowed: dict[str, Any] = {}
    for path in paths:
        node = allowed
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = True
    return OverrideSettings.model_validate({"conversation_config_override": allowed, **switches})


def override(data: Any) -> ConfigOverride:
    return ConfigOverride.model_validate(data)


@pytest.mark.parametrize("path", VALUES, ids=".".join)
def test_an_allowed_field_is_changed_and_nothing_else(path: tuple[str, ...]) -> None:
    changed = apply_overrides(CONFIG, override(tree(path, VALUES[path])), settings(path)).model_dump(mode="json")
    before = CONFIG.model_dump(mode="json")

    found = at(changed, path)
    if path == ("tts", "supported_voices"):
        found = [{name: voice[name] for name in ("label", "voice_id")} for voice in found]
    assert found == VALUES[path]
    at(changed, path[:-1])[path[-1]] = at(before, path)
    assert changed == before


@pytest.mark.parametrize("path", [path for path in VALUES if path != ("asr", "keywords")], ids=".".join)
def test_a_forbidden_field_ends_the_start(path: tuple[str, ...]) -> None:
    others = settings(*(other for other in VALUES if other[-1] not in (path[-1], "tool_ids")))

    with pytest.raises(OverrideNotAllowed, match=f"Override for field '{path[-1]}' is not allowed by config"):
        apply_overrides(CONFIG, override(tree(path, VALUES[path])), others)


def test_forbidden_keywords_are_dropped_softly() -> None:
    both = {"asr": {"keywords": ["a"]}, "agent": {"first_message": "Hi"}}

    changed = apply_overrides(CONFIG, override(both), settings(("agent", "first_message")))

    assert changed.asr.keywords == []
    assert changed.agent.first_message == "Hi"


def test_strict_tool_ids_are_allowed_with_tool_ids() -> None:
    data = override({"agent": {"prompt": {"tool_ids": ["new"], "tool_ids_strict": True}}})

    changed = apply_overrides(CONFIG, data, settings(("agent", "prompt", "tool_ids")))

    assert changed.agent.prompt.tool_ids == ["new"]
    assert changed.agent.prompt.tool_ids_strict is True


@pytest.mark.parametrize("data", [{}, {"agent": None}, {"agent": {"first_message": None}}, {"future": {"a": 1}}])
def test_null_and_unknown_fields_change_nothing(data: Any) -> None:
    assert apply_overrides(CONFIG, override(data), settings()) == CONFIG


def test_text_only_at_the_top_is_taken_where_it_is_allowed_and_ignored_elsewhere() -> None:
    assert apply_overrides(CONFIG, override({"text_only": True}), settings()) == CONFIG
    allowed = settings(("conversation", "text_only"))
    assert apply_overrides(CONFIG, override({"text_only": True}), allowed).conversation.text_only is True


def test_to_state_what_the_agent_is_anyway_changes_nothing() -> None:
    chats = ConversationConfig.model_validate({"agent": {"language": "de"}, "conversation": {"text_only": True}})
    stated = override({"agent": {"language": "de"}, "conversation": {"text_only": True}})
    assert apply_overrides(chats, stated, settings()) == chats
    for other in ({"conversation": {"text_only": False}}, {"agent": {"language": "en"}}):
        with pytest.raises(OverrideNotAllowed):
            apply_overrides(chats, override(other), settings())


@pytest.mark.parametrize(
    ("source", "widget", "allowed"),
    [
        ("widget", {}, {("conversation", "text_only")}),
        ("widget", {"supports_text_only": False, "language_selector": True}, {("agent", "language")}),
        ("js_sdk", {"language_selector": True}, set()),
    ],
)
def test_the_widget_may_do_what_its_settings_offer(
    source: str, widget: dict[str, Any], allowed: set[tuple[str, ...]]
) -> None:
    asked = {("conversation", "text_only"), ("agent", "language"), ("agent", "first_message")}
    platform = PlatformSettings.model_validate({"widget": widget})
    assert switches(platform, source) == settings(*allowed)
    for path in asked - allowed:
        with pytest.raises(OverrideNotAllowed):
            apply_overrides(CONFIG, override(tree(path, VALUES[path])), switches(platform, source))


@given(st.sets(st.sampled_from(sorted(VALUES))), st.sets(st.sampled_from(sorted(VALUES))))
def test_an_override_is_applied_exactly_when_all_of_it_is_allowed(
    given_paths: set[tuple[str, ...]], allowed: set[tuple[str, ...]]
) -> None:
    data: dict[str, Any] = {}
    for path in given_paths:
        node = data
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = VALUES[path]
    covered = allowed | {("asr", "keywords")}
    if ("agent", "prompt", "tool_ids") in allowed:
        covered |= {("agent", "prompt", "tool_ids_strict")}

    if given_paths <= covered:
        apply_overrides(CONFIG, override(data), settings(*allowed))
    else:
        with pytest.raises(OverrideNotAllowed):
            apply_overrides(CONFIG, override(data), settings(*allowed))


MULTILINGUAL = ConversationConfig.model_validate(
    {
        "agent": {"first_message": "Hello", "prompt": {"prompt": "Be kind"}},
        "language_presets": {
            "de": {
                "overrides": {"tts": {"voice_id": "german"}},
                "first_message_translation": {"source_hash": "h", "text": "Hallo"},
                "soft_timeout_translation": {"source_hash": "h", "text": "Moment"},
                "noisy_environment_message_translation": {"source_hash": "h", "text": "Laut hier"},
            },
            "fr": {
                "overrides": {"agent": {"first_message": "Salut"}},
                "first_message_translation": {"source_hash": "h", "text": "Bonjour"},
            },
        },
    }
)


def test_a_preset_comes_with_its_language() -> None:
    german = in_language(MULTILINGUAL, "de")

    assert german.agent.language == "de"
    assert german.agent.first_message == "Hallo"
    assert german.agent.prompt.prompt == "Be kind"
    assert german.tts.voice_id == "german"
    assert german.turn.soft_timeout_config.message == "Moment"
    assert german.turn.noisy_environment_message == "Laut hier"


def test_the_text_of_a_preset_wins_over_the_translation() -> None:
    assert in_language(MULTILINGUAL, "fr").agent.first_message == "Salut"


def test_a_language_without_a_preset_changes_the_language_alone() -> None:
    spanish = in_language(MULTILINGUAL, "es")

    assert spanish.agent.language == "es"
    assert spanish.agent.first_message == "Hello"


def test_an_override_of_the_language_brings_its_preset_and_wins_over_it() -> None:
    allowed = settings(("agent", "language"), ("agent", "first_message"))

    preset = apply_overrides(MULTILINGUAL, override({"agent": {"language": "de"}}), allowed)
    own = apply_overrides(MULTILINGUAL, override({"agent": {"language": "de", "first_message": "Moin"}}), allowed)

    assert (preset.agent.first_message, preset.tts.voice_id) == ("Hallo", "german")
    assert (own.agent.first_message, own.tts.voice_id) == ("Moin", "german")


def test_a_switch_takes_the_place_of_the_language_of_the_start() -> None:
    allowed = settings(("agent", "language"), ("tts", "voice_id"), ("conversation", "max_duration_seconds"))
    start = override({"agent": {"language": "de"}, "conversation": {"max_duration_seconds": 30}})

    french = apply_overrides(MULTILINGUAL, start, allowed, switched_to="fr")

    assert (french.agent.language, french.agent.first_message) == ("fr", "Salut")
    assert french.tts.voice_id == MULTILINGUAL.tts.voice_id
    assert french.conversation.max_duration_seconds == 30
    assert set(french.language_presets) == {"de", "fr", "en"}  # it may come back
    own_voice = override({"tts": {"voice_id": "own"}})
    assert apply_overrides(MULTILINGUAL, own_voice, allowed, switched_to="de").tts.voice_id == "own"
    back = apply_overrides(MULTILINGUAL, override({}), settings(), switched_to="en")
    assert back.model_copy(update={"language_presets": MULTILINGUAL.language_presets}) == MULTILINGUAL


def test_a_switch_changes_neither_medium_nor_length() -> None:
    chats = {"conversation": {"text_only": True, "max_duration_seconds": 5}}
    config = ConversationConfig.model_validate({"language_presets": {"de": {"overrides": chats}}})

    assert in_language(config, "de").conversation.text_only
    switched = apply_overrides(config, override({}), settings(), switched_to="de")
    assert switched.conversation == config.conversation


@pytest.mark.parametrize(
    ("field", "value", "switch"),
    [
        ("custom_llm_extra_body", {"a": 1}, "custom_llm_extra_body"),
        ("starting_workflow_node_id", "node", "enable_starting_workflow_node_id_from_client"),
        ("procedure_ids", ["p"], "enable_procedure_ids_from_client"),
        ("start_procedure_ids", ["p"], "enable_procedure_ids_from_client"),
    ],
)
def test_other_start_data_has_switches_of_its_own(field: str, value: Any, switch: str) -> None:
    data = InitiationData.model_validate({field: value})

    check_start(data, settings(**{switch: True}), CONFIG)
    with pytest.raises(OverrideNotAllowed, match=field):
        check_start(data, settings(), CONFIG)


@pytest.mark.parametrize(
    "path",
    [
        ("turn", "turn_timeout"),
        ("turn", "soft_timeout_config", "timeout_seconds"),
        ("agent", "prompt", "temperature"),
        ("conversation", "monitoring_enabled"),
        ("vad",),
    ],
    ids=".".join,
)
def test_a_setting_that_is_no_override_is_refused_and_not_passed_over(path: tuple[str, ...]) -> None:
    data = InitiationData.model_validate({"conversation_config_override": tree(path, 3)})

    with pytest.raises(OverrideNotAllowed, match=f"Override for field '{path[-1]}' is not allowed by config"):
        check_start(data, settings(*VALUES), CONFIG)
    for harmless in (tree(path, None), tree((*path[:-1], "future"), 3), {"text_only": True}):
        check_start(InitiationData.model_validate({"conversation_config_override": harmless}), settings(), CONFIG)


def test_start_data_is_tolerant() -> None:
    data = InitiationData.model_validate(
        {
            "type": "conversation_initiation_client_data",
            "conversation_config_override": None,
            "dynamic_variables": None,
            "custom_llm_extra_body": None,
            "source_info": {"source": "someone", "future": 1},
            "user_id": None,
            "future": True,
        }
    )

    assert data.conversation_config_override == ConfigOverride()
    assert data.dynamic_variables == {}
    check_start(data, settings(), CONFIG)


def test_a_start_may_not_set_the_servers_own_variables() -> None:
    data = InitiationData.model_validate({"dynamic_variables": {"system__time": "now"}})

    with pytest.raises(ReservedVariable):
        check_start(data, settings(), CONFIG)


def test_a_start_may_not_choose_an_own_model_that_the_agent_has_not() -> None:
    start = {"conversation_config_override": {"agent": {"prompt": {"llm": "custom-llm"}}}}
    data = InitiationData.model_validate(start)
    own = {"agent": {"prompt": {"custom_llm": {"url": "https://llm.example/v1"}}}}

    with pytest.raises(NoOwnModel):
        check_start(data, settings(), CONFIG)
    check_start(data, settings(), ConversationConfig.model_validate(own))
