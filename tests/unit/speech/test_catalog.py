from __future__ import annotations

from typing import Any

import pytest

from greenline.errors import ConfigurationError
from greenline.settings import Settings
from greenline.speech.catalog import Kind, SpeechCatalog

ELEVEN = {"ELEVENLABS_API_KEY": "e"}
DEEPGRAM = {"DEEPGRAM_API_KEY": "d"}
OPENAI = {"OPENAI_API_KEY": "o"}


def catalog(kind: Kind, environ: dict[str, str] | None = None, **settings: Any) -> SpeechCatalog:
    return SpeechCatalog.of(kind, Settings(_env_file=None, **settings), environ or {})


def chain(kind: Kind, name: str, environ: dict[str, str] | None = None, **settings: Any) -> list[str]:
    return [str(target) for target in catalog(kind, environ, **settings).chain(name)]


def test_without_a_key_the_embedded_ones_serve() -> None:
    assert chain("stt", "scribe_realtime") == ["embedded"]
    assert chain("tts", "eleven_flash_v2") == ["embedded"]


def test_the_references_own_names_are_served_by_their_owner() -> None:
    assert chain("stt", "scribe_realtime", ELEVEN) == ["elevenlabs:scribe_v2_realtime"]
    assert chain("tts", "eleven_turbo_v2_5", ELEVEN) == ["elevenlabs:eleven_turbo_v2_5", "embedded"]


def test_elevenlabs_speaks_with_the_agents_own_model_however_it_was_chosen() -> None:
    assert chain("tts", "eleven_v3", ELEVEN, tts="elevenlabs")[0] == "elevenlabs:eleven_v3"
    assert chain("tts", "eleven_v3", ELEVEN, tts_map={"*": "elevenlabs"})[0] == "elevenlabs:eleven_v3"
    assert chain("tts", "eleven_v3", ELEVEN, tts="elevenlabs:eleven_flash_v2_5")[0] == "elevenlabs:eleven_flash_v2_5"
    assert chain("tts", "another", ELEVEN, tts="elevenlabs")[0] == "elevenlabs:eleven_flash_v2_5"


@pytest.mark.parametrize(
    ("environ", "hears", "speaks"),
    [
        (OPENAI, "openai:gpt-4o-mini-transcribe", "openai:gpt-4o-mini-tts"),
        (DEEPGRAM, "deepgram:nova-3", "deepgram:aura-2-thalia-en"),
    ],
)
def test_whoever_has_a_key_serves(environ: dict[str, str], hears: str, speaks: str) -> None:
    assert chain("stt", "scribe_realtime", environ) == [hears]
    assert chain("tts", "eleven_flash_v2", environ) == [speaks, "embedded"]


def test_a_key_is_read_as_those_of_models_are() -> None:
    assert catalog("stt", {"DEEPGRAM_API_KEY": "k\n", "ELEVENLABS_API_KEY": " "}).keys == {"deepgram": "k"}


def test_one_line_changes_the_provider() -> None:
    assert chain("stt", "scribe_realtime", {**ELEVEN, **DEEPGRAM}, stt="deepgram")[0] == "deepgram:nova-3"
    assert chain("tts", "eleven_flash_v2", ELEVEN, tts="embedded:en-us+f3")[0] == "embedded:en-us+f3"
    assert chain("stt", "scribe_realtime", stt="whisper") == ["whisper"]


def test_a_map_goes_before_everything() -> None:
    mapped = {"scribe_realtime": "openai:whisper-1", "*": "deepgram"}
    both = {**DEEPGRAM, **OPENAI}
    assert chain("stt", "scribe_realtime", both, stt="embedded", stt_map=mapped)[0] == "openai:whisper-1"
    assert chain("stt", "anything", both, stt="embedded", stt_map=mapped)[0] == "deepgram:nova-3"


def test_an_agent_can_name_its_provider() -> None:
    assert chain("stt", "deepgram:flux-general-en", DEEPGRAM, stt="embedded")[0] == "deepgram:flux-general-en"
    assert chain("tts", "openai:tts-1-hd", OPENAI)[0] == "openai:tts-1-hd"


def test_a_model_that_only_hears_is_no_voice() -> None:
    assert chain("tts", "whisper") == ["embedded"]
    assert chain("tts", "whisper:small", OPENAI) == ["openai:gpt-4o-mini-tts", "embedded"]


def test_the_others_with_a_key_take_over_and_the_embedded_voice_is_the_last() -> None:
    everybody = {**ELEVEN, **DEEPGRAM, **OPENAI}
    assert chain("stt", "scribe_realtime", everybody) == [
        "elevenlabs:scribe_v2_realtime",
        "deepgram:nova-3",
        "openai:gpt-4o-mini-transcribe",
    ]
    assert chain("tts", "eleven_v3", everybody) == [
        "elevenlabs:eleven_v3",
        "deepgram:aura-2-thalia-en",
        "openai:gpt-4o-mini-tts",
        "embedded",
    ]


def test_backups_of_the_settings_take_over_in_their_order() -> None:
    found = chain("tts", "x", OPENAI, tts="openai", tts_backups=("openai:tts-1", "embedded:en-us+f3"))
    assert found == ["openai:gpt-4o-mini-tts", "openai:tts-1", "embedded:en-us+f3", "embedded"]


def test_a_server_of_ones_own_is_a_provider() -> None:
    own = catalog("stt", {"MY_BOX_API_KEY": "k"}, stt="my-box:whisper", speech_base_urls={"my-box": "http://box/v1/"})
    assert str(own.find("scribe_realtime")) == "my-box:whisper"
    assert own.url("my-box") == "http://box/v1"
    assert own.keys == {"my-box": "k"}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("stt", {"stt": "siri"}),
        ("tts", {"tts": "whisper"}),
        ("tts", {"tts_map": {"*": "eleven_flash_v2"}}),
        ("stt", {"stt_backups": ("deepgram", "?")}),
    ],
)
def test_a_name_that_is_none_is_refused_with_those_that_are(kind: Kind, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"Known providers: elevenlabs, deepgram, openai, embedded"):
        catalog(kind, **wrong)


def test_keys_are_not_shown() -> None:
    assert "sk-secret" not in repr(catalog("stt", {"OPENAI_API_KEY": "sk-secret"}))
