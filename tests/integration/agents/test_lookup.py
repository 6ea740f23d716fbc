"""Values that a configuration only names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from greenline.agents.config import ConversationConfig
from greenline.agents.config.locators import HeaderValue
from greenline.agents.lookup import Lookup, ValueUnavailable, environment_variables, seal_secrets
from greenline.clock import ManualClock
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.workspaces import environments, secrets
from greenline.workspaces.environments import VariableType
from support.rows import WORKSPACE, insert_workspace

VARIABLES = {"name": "Ann", "age": 7, "none": None, "secret__token": "tok", "secret__number": 5, "secret__none": None}
VALUES: TypeAdapter[dict[str, HeaderValue]] = TypeAdapter(dict[str, HeaderValue])


@pytest.fixture
def vault() -> Vault:
    return Vault(bytes(32))


def lookup(pool: Pool, vault: Vault, conversation_id: str = "conv_1", sealed: Any = None) -> Lookup:
    shown = {name: value for name, value in VARIABLES.items() if not name.startswith("secret__")}
    sealed = seal_secrets(vault, "conv_1", VARIABLES) if sealed is None else sealed
    return Lookup(pool, vault, WORKSPACE, conversation_id, shown, sealed)


async def texts(found: Lookup, **values: Any) -> dict[str, str]:
    return await found.texts(VALUES.validate_python(values))


async def test_values_of_every_kind_are_found(pool: Pool, vault: Vault, clock: ManualClock) -> None:
    await insert_workspace(pool, clock.now())
    secret_id = await secrets.create(pool, vault, clock, WORKSPACE, name="k", value="key")

    found = await texts(
        lookup(pool, vault),
        literal="{{name}}",
        secret={"secret_id": secret_id},
        text={"variable_name": "name"},
        number={"variable_name": "age"},
        token={"variable_name": "secret__token"},
        other={"variable_name": "secret__number"},
    )

    assert found == {
        "literal": "{{name}}",
        "secret": "key",
        "text": "Ann",
        "number": "7",
        "token": "tok",
        "other": "5",
    }


async def test_environment_variables_are_those_of_the_conversation(
    pool: Pool, vault: Vault, clock: ManualClock
) -> None:
    await insert_workspace(pool, clock.now())
    secret_id = await secrets.create(pool, vault, clock, WORKSPACE, name="k", value="key")
    made: list[tuple[str, VariableType, dict[str, Any]]] = [
        ("host", "string", {"production": "a.example", "staging": "b.example"}),
        ("key", "secret", {"production": {"secret_id": secret_id}}),
    ]
    for label, kind, values in made:
        await environments.create_variable(pool, clock, WORKSPACE, label=label, kind=kind, values=values)
    staging = replace(lookup(pool, vault), environment="staging")

    named = {"url": "https://{{system__env_host}}/{{name}}", "key": {"env_var_label": "key"}}
    assert await texts(staging, **named) == {"url": "https://b.example/{{name}}", "key": "key"}
    assert (await texts(lookup(pool, vault), **named))["url"] == "https://a.example/{{name}}"
    with pytest.raises(ValueUnavailable, match="no environment variable key with a text"):
        await texts(staging, url="https://{{system__env_key}}")

    in_german = {"agent": {"first_message": "{{system__env_host}}", "prompt": {"prompt": "{{system__env_none}}"}}}
    prompt = {
        "agent": {"prompt": {"prompt": "{{system__env_key}} {{name}}"}},
        "language_presets": {"de": {"overrides": in_german}},
    }
    config = ConversationConfig.model_validate(prompt)
    found = await environment_variables(pool, vault, WORKSPACE, "staging", config)
    assert found == {"system__env_host": "b.example"}


async def test_all_that_is_missing_is_named_with_its_place(pool: Pool, vault: Vault) -> None:
    missing = {
        "a": {"secret_id": "secret_none"},
        "b": {"variable_name": "none"},
        "c": {"variable_name": "secret__none"},
        "d": {"env_var_label": "key"},
    }
    with pytest.raises(ValueUnavailable) as refused:
        await texts(lookup(pool, vault), fine="x", **missing)

    for told in ("a: ", "secret_none", "b: ", "none", "c: ", "secret__none", "d: ", "environment variable key"):
        assert told in refused.value.message


async def test_a_lookup_and_what_is_sealed_show_nothing(pool: Pool, vault: Vault) -> None:
    sealed = seal_secrets(vault, "conv_1", VARIABLES)
    assert set(sealed) == {"secret__token", "secret__number"}
    assert "tok" not in sealed["secret__token"]
    assert "Ann" not in repr(lookup(pool, vault))


async def test_another_conversation_or_key_opens_nothing(pool: Pool, vault: Vault, clock: ManualClock) -> None:
    await insert_workspace(pool, clock.now())
    secret_id = await secrets.create(pool, vault, clock, WORKSPACE, name="k", value="key")
    token = {"variable_name": "secret__token"}

    with pytest.raises(ValueUnavailable, match="secret__token"):
        await texts(lookup(pool, vault, "conv_2"), token=token)
    with pytest.raises(ValueUnavailable, match="GREENLINE_SECRET_KEY"):
        await texts(lookup(pool, Vault(bytes([1] * 32))), key={"secret_id": secret_id})
