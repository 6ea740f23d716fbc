"""Which endpoint serves a name."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from greenline.errors import ConfigurationError
from greenline.llm.catalog import PROVIDERS, Catalog, Place, home, info_at, known_models
from greenline.llm.prices import token_prices
from greenline.llm.traits import Traits
from greenline.settings import Settings

OFFLINE = Place("offline", "offline", "offline")


def catalog(environ: dict[str, str] | None = None, **settings: Any) -> Catalog:
    return Catalog.of(Settings(**settings), environ or {})


def test_without_any_key_the_offline_model_answers() -> None:
    assert {catalog().find(name) for name in ("gpt-4o", "gemini-2.5-flash", "qwen3-4b", "offline")} == {OFFLINE}
    assert catalog().backups() == ()


@pytest.mark.parametrize(
    ("name", "key", "place"),
    [
        ("gpt-4o", "OPENAI_API_KEY", ("openai", "gpt-4o")),
        ("gpt-4o-2024-08-06", "OPENAI_API_KEY", ("openai", "gpt-4o-2024-08-06")),
        ("gpt-5.2-chat-latest", "OPENAI_API_KEY", ("openai", "gpt-5.2-chat-latest")),
        ("gemini-2.5-flash", "GEMINI_API_KEY", ("gemini", "gemini-2.5-flash")),
        ("gemini-4-argon", "GOOGLE_API_KEY", ("gemini", "gemini-4-argon")),
        ("claude-sonnet-4", "ANTHROPIC_API_KEY", ("anthropic", "claude-sonnet-4-0")),
        ("claude-haiku-4-5@20251001", "ANTHROPIC_API_KEY", ("anthropic", "claude-haiku-4-5-20251001")),
        ("gpt-oss-120b", "GROQ_API_KEY", ("groq", "openai/gpt-oss-120b")),
        ("grok-beta", "XAI_API_KEY", ("xai", "grok-beta")),
    ],
)
def test_a_model_is_served_by_its_own_provider(name: str, key: str, place: tuple[str, str]) -> None:
    assert catalog({key: "k"}).find(name) == Place(*place, name)


def test_what_a_file_brings_along_around_a_key_is_no_part_of_it() -> None:
    found = catalog({"OPENAI_API_KEY": " k\r\n", "GEMINI_API_KEY": "\n", "GOOGLE_API_KEY": "g", "GROQ_API_KEY": " "})
    assert found.keys == {"openai": "k", "gemini": "g"}


@pytest.mark.parametrize("key", ["sk-hid\nden", "sk-hid\u00fcden"])
def test_a_key_that_no_request_can_carry_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^GROQ_API_KEY has characters .* Set it anew") as refused:
        catalog({"GROQ_API_KEY": key})
    assert "den" not in str(refused.value)


@pytest.mark.parametrize("name", ["gpt-4o", "qwen3-4b", "no-such-model"])
def test_another_provider_answers_with_its_default_model_under_its_own_name(name: str) -> None:
    found = catalog({"GEMINI_API_KEY": "k", "GROQ_API_KEY": "k"}).find(name)
    assert found == Place("gemini", "gemini-2.5-flash", "gemini-2.5-flash")


def test_the_mapping_comes_first() -> None:
    made = catalog({"OPENAI_API_KEY": "k"}, llm_map={"gpt-4o": "ollama:llama3.2", "gpt-5": "offline"})
    assert made.find("gpt-4o") == Place("ollama", "llama3.2", "ollama:llama3.2")
    assert made.find("gpt-5") == OFFLINE
    assert made.find("gpt-4.1").provider == "openai"
    assert catalog(llm_map={"*": "ollama:qwen3:8b"}).find("anything") == Place(
        "ollama", "qwen3:8b", "ollama:qwen3:8b"
    )


def test_own_providers_have_an_address_and_a_key_by_their_name() -> None:
    made = catalog(
        {"MY_HOST_API_KEY": "k"}, llm_map={"*": "my-host:big"}, llm_base_urls={"my-host": "http://10.0.0.9/v1"}
    )
    assert made.find("gpt-4o").provider == "my-host"
    assert (made.base_url("my-host"), made.keys["my-host"]) == ("http://10.0.0.9/v1", "k")
    assert made.base_url("openai") is None
    assert catalog(llm_base_urls={"openai": "http://proxy/v1"}).base_url("openai") == "http://proxy/v1"


@pytest.mark.parametrize("target", ["llama3.2", "nowhere:m", "openai:", ":m", ""])
def test_a_mapping_that_leads_nowhere_stops_the_start(target: str) -> None:
    with pytest.raises(ConfigurationError, match="GREENLINE_LLM_MAP"):
        catalog(llm_map={"gpt-4o": target})


def test_each_provider_with_a_key_is_a_backup() -> None:
    made = catalog({"GEMINI_API_KEY": "k", "OPENAI_API_KEY": "k"})
    assert made.backups() == ("gpt-4.1-mini", "gemini-2.5-flash")
    assert catalog({"OPENAI_API_KEY": "k"}, llm_backups="offline,gpt-4o").backups() == ("offline", "gpt-4o")


def test_keys_stay_out_of_the_repr() -> None:
    assert "sk-1" not in repr(catalog({"OPENAI_API_KEY": "sk-1"}))


@pytest.mark.parametrize(
    ("provider", "model", "traits"),
    [
        ("openai", "gpt-4o", Traits(documents=True, parallel_option=True, completion_tokens=True)),
        ("openai", "o4-mini-2025-04-16", Traits(documents=True, completion_tokens=True, sampling=False)),
        ("openai", "gpt-5.3", Traits(parallel_option=True, completion_tokens=True, sampling=False)),
        ("anthropic", "claude-sonnet-4-0", Traits(parallel_option=True)),
        ("anthropic", "claude-next", Traits(parallel_option=True, sampling=False)),
        ("gemini", "gemini-2.5-flash", Traits()),
        ("gemini", "gemini-3.8-flash", Traits(signed_calls=True)),
        ("ollama", "llama3.2", Traits(images=False)),
        ("groq", "llama-3.3-70b-versatile", Traits(images=False)),
        ("ollama", "llava", Traits()),
        ("my-host", "gpt-5", Traits()),
    ],
)
def test_models_are_asked_as_they_want(provider: str, model: str, traits: Traits) -> None:
    assert catalog().traits(provider, model) == traits


def test_an_endpoint_in_a_providers_place_is_asked_plainly() -> None:
    assert catalog(llm_base_urls={"openai": "http://proxy/v1"}).traits("openai", "gpt-5") == Traits()


def test_the_data_is_sound() -> None:
    for name, info in known_models().items():
        assert info.provider in PROVIDERS, name
        assert info_at(info.provider, info.model) is not None
        if info.price:
            assert 0 < info.price.input < info.price.output
            assert info.price.read is None or info.price.read < info.price.input
            assert info.price.on.startswith("202")


def test_every_name_of_the_reference_has_a_home_or_is_hosted_by_it_alone() -> None:
    from elevenlabs.types.llm import Llm

    names = {name for literal in get_args(Llm) for name in get_args(literal)} - {"custom-llm"}
    hosted = ("qwen", "glm-", "deepseek", "nemotron", "watt-tool")
    assert len(names) > 80
    assert {name for name in names if home(name) is None and not name.startswith(hosted)} == set()


def test_prices() -> None:
    counts = {"input": 1_000_000, "output": 100_000, "cache_read": 0, "cache_write": 0}
    assert token_prices("gpt-4o-2024-08-06", counts) == pytest.approx(
        {"input": 2.5, "output": 1.0, "cache_read": 0.0, "cache_write": 0.0}
    )
    assert token_prices("anthropic:claude-haiku-4-5", counts | {"cache_write": 1_000_000}) == pytest.approx(
        {"input": 1.0, "output": 0.5, "cache_read": 0.0, "cache_write": 1.25}
    )
    assert token_prices("gpt-4o", counts | {"cache_write": 5}) is None  # not known: said so, not guessed
    assert token_prices("qwen3-4b", counts) is None
    assert token_prices("ollama:llama3.2", counts) is None
    assert set((token_prices("offline", counts) or {}).values()) == {0.0}
