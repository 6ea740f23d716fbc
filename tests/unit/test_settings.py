"""Settings: read from the environment, shown without secrets, told when wrong."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from greenline.channels.live.journal import WRITE_SECONDS
from greenline.settings import MAY_BE_EMPTY, Settings
from greenline.settings_table import settings_table
from greenline.store.wakeups import POLL_SECONDS
from greenline.store.worker import PATIENCE_OF_LEASE


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENLINE_PORT", "9000")
    monkeypatch.setenv("GREENLINE_META_APP_SECRET", " new , old ,")
    monkeypatch.setenv("GREENLINE_LLM_MAP", '{"*": "ollama:llama3.2"}')
    settings = Settings()
    assert settings.port == 9000
    assert settings.meta_app_secret == ("new", "old")
    assert settings.llm_map == {"*": "ollama:llama3.2"}


def test_secrets_do_not_show() -> None:
    settings = Settings(
        api_key="gl_hidden",
        secret_key="key_hidden",
        database_url="postgresql://u:pw_hidden@h/d",
        meta_app_secret=("app_hidden",),
        meta_verify_token="verify_hidden",
    )
    assert "hidden" not in repr(settings)
    assert "hidden" not in str(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 70000),
        ("outbound_allow", "10.0.0.0/99"),
        ("database_connections", 1),
        ("log_level", "loud"),
        ("throughput_per_second", 0.5),
        ("graph_url", "graph.facebook.com"),
        ("public_url", "https://"),
        ("public_url", "https://ho\nst"),
        ("emulator_url", "localhost:8090"),
        ("graph_version", "23"),
        ("llm_map", "{'*': 'offline'}"),
        ("llm_map", "[]"),
        ("end_of_turn_seconds", '{"normal": 60}'),
        ("inactivity_seconds", "inf"),
        ("api_key", "gl_\nkey"),
        ("api_key", "gl key"),
        ("thread_max_age_days", "999999"),
    ],
)
def test_wrong_values_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


def test_what_is_left_out_of_the_ends_of_turns_keeps_its_default() -> None:
    settings = Settings(end_of_turn_seconds='{"normal": 0.6}')
    assert settings.end_of_turn_seconds == {"patient": 1.0, "normal": 0.6, "eager": 0.3}


def test_the_scheme_of_an_address_may_have_any_case() -> None:
    assert Settings(public_url="HTTPS://Host/").public_url == "HTTPS://Host/"


def test_an_empty_variable_is_as_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of containers pass on what nobody has set. Of some texts the empty one has a meaning."""
    unset = Settings()
    for name, blank in zip(Settings.model_fields, cycle(("", " ", "\r\n")), strict=False):
        monkeypatch.setenv(f"GREENLINE_{name.upper()}", blank)
    settings = Settings()
    assert settings == unset.model_copy(update=dict.fromkeys(MAY_BE_EMPTY, ""))


def test_what_a_file_brings_along_around_a_secret_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENLINE_META_VERIFY_TOKEN", "verify\r\n")
    monkeypatch.setenv("GREENLINE_API_KEY", " gl_key\n")
    settings = Settings()
    assert settings.meta_verify_token == SecretStr("verify")
    assert settings.api_key == SecretStr("gl_key")


def test_defaults_are_told_as_they_are_written() -> None:
    table = settings_table()
    assert '| `GREENLINE_END_OF_TURN_SECONDS` | `{"patient": 1.0, "normal": 0.5, "eager": 0.3}` |' in table


def test_every_setting_is_explained() -> None:
    table = settings_table()
    for name, field in Settings.model_fields.items():
        assert f"`GREENLINE_{name.upper()}`" in table
        assert field.description
        assert field.description.rstrip("…").endswith((".", "}.", '".'))


def test_by_default_no_chat_is_stuck_for_half_a_minute_and_no_stall_costs_the_lease() -> None:
    """Dead work is taken up after the lease, a send of unknown outcome is repeated after the grace that follows."""
    settings = Settings()
    assert settings.lease_seconds + settings.unknown_outcome_grace_seconds + 2 * POLL_SECONDS < 30
    assert settings.lease_seconds * 2 / 3 > settings.lease_seconds * PATIENCE_OF_LEASE >= 2 * WRITE_SECONDS >= 5
