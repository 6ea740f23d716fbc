"""Environments and their variables in the database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from greenline.clock import ManualClock
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.workspaces import environments, secrets
from greenline.workspaces.environments import (
    EnvironmentNotFound,
    EnvironmentTaken,
    InvalidEnvironment,
    InvalidValue,
    LabelTaken,
    ProductionStays,
    VariableNotFound,
)
from greenline.workspaces.secrets import SecretInUse
from support.rows import WORKSPACE, insert_workspace


@pytest.fixture
def vault() -> Vault:
    return Vault(bytes(32))


@pytest.fixture(autouse=True)
async def workspace(pool: Pool, clock: ManualClock) -> None:
    await insert_workspace(pool, clock.now())
    await insert_workspace(pool, clock.now(), "ws_other")


async def create(pool: Pool, clock: ManualClock, label: str, kind: Any = "string", **values: Any) -> str:
    made = await environments.create_variable(pool, clock, WORKSPACE, label=label, kind=kind, values=values)
    return made.id


async def texts(pool: Pool, vault: Vault, environment: str, *labels: str, secret: bool = True) -> dict[str, str]:
    return await environments.texts(pool, vault, WORKSPACE, environment, labels, secret=secret)


async def names(pool: Pool) -> list[str]:
    return [environment.name for environment in await environments.list_environments(pool, WORKSPACE)]


async def test_production_stands_in_for_an_environment_without_a_value(
    pool: Pool, vault: Vault, clock: ManualClock
) -> None:
    secret_id = await secrets.create(pool, vault, clock, WORKSPACE, name="k", value="key")
    await create(pool, clock, "host", production="a.example", staging="b.example")
    await create(pool, clock, "key", "secret", production={"secret_id": secret_id})

    assert await texts(pool, vault, "staging", "host", "key", "none") == {"host": "b.example", "key": "key"}
    assert await texts(pool, vault, "other", "host") == {"host": "a.example"}
    assert await texts(pool, vault, "staging", "host", "key", secret=False) == {"host": "b.example"}
    assert await environments.texts(pool, vault, "ws_other", "staging", ["host"], secret=True) == {}


async def test_environments_begin_and_end(pool: Pool, vault: Vault, clock: ManualClock) -> None:
    await environments.create_environment(pool, clock, WORKSPACE, "qa-1")
    variable = await create(pool, clock, "host", production="a", staging="b")
    assert await names(pool) == ["production", "qa-1", "staging"]
    assert await environments.check_environment(pool, WORKSPACE, None) == "production"
    assert await environments.check_environment(pool, WORKSPACE, "staging") == "staging"

    await environments.delete_environment(pool, clock, WORKSPACE, "staging")

    assert await names(pool) == ["production", "qa-1"]
    assert (await environments.get_variable(pool, WORKSPACE, variable)).values == {"production": "a"}
    with pytest.raises(EnvironmentNotFound, match="staging"):
        await environments.check_environment(pool, WORKSPACE, "staging")
    for refused, error in (
        (environments.delete_environment(pool, clock, WORKSPACE, "production"), ProductionStays),
        (environments.delete_environment(pool, clock, "ws_other", "qa-1"), EnvironmentNotFound),
        (environments.create_environment(pool, clock, WORKSPACE, "qa-1"), EnvironmentTaken),
        (environments.create_environment(pool, clock, WORKSPACE, "production"), EnvironmentTaken),
        (environments.create_environment(pool, clock, WORKSPACE, "no space"), InvalidEnvironment),
    ):
        with pytest.raises(error):
            await refused


async def test_values_change_one_by_one(pool: Pool, clock: ManualClock) -> None:
    variable = await create(pool, clock, "host", production="a", staging="b")
    clock.advance(timedelta(minutes=1))

    changed = await environments.update_variable(
        pool, clock, WORKSPACE, variable, {"production": "c", "staging": None, "new": "d", "gone": None}
    )

    assert changed.values == {"production": "c", "new": "d"}
    assert changed.updated_at == clock.now()
    assert await names(pool) == ["production", "new", "staging"]


async def test_values_must_fit(pool: Pool, vault: Vault, clock: ManualClock) -> None:
    secret_id = await secrets.create(pool, vault, clock, "ws_other", name="k", value="key")
    variable = await create(pool, clock, "taken", production="a")
    for kind, values in (
        ("string", {"staging": "a"}),
        ("string", {"production": {"secret_id": "s"}}),
        ("secret", {"production": "a"}),
        ("secret", {"production": {"auth_connection_id": "c"}}),
        ("secret", {"production": {"secret_id": secret_id}}),
        ("auth_connection", {"production": {"auth_connection_id": "c"}}),
    ):
        with pytest.raises(InvalidValue):
            await create(pool, clock, "label", kind, **values)
    with pytest.raises(InvalidEnvironment):
        await create(pool, clock, "label", **{"production": "a", "no space": "b"})
    with pytest.raises(LabelTaken):
        await create(pool, clock, "taken", production="b")
    with pytest.raises(InvalidValue):
        await environments.update_variable(pool, clock, WORKSPACE, variable, {"production": None})
    for refused in (
        environments.get_variable(pool, "ws_other", variable),
        environments.update_variable(pool, clock, "ws_other", variable, {}),
        environments.delete_variable(pool, "ws_other", variable),
    ):
        with pytest.raises(VariableNotFound):
            await refused


async def test_lists_are_filtered_and_paged(pool: Pool, clock: ManualClock) -> None:
    for number in range(3):
        await create(pool, clock, f"v{number}", production="a", **({"staging": "b"} if number else {}))

    first, cursor = await environments.list_variables(pool, WORKSPACE, page_size=2)
    rest, end = await environments.list_variables(pool, WORKSPACE, page_size=2, cursor=cursor)
    assert sorted(variable.label for variable in (*first, *rest)) == ["v0", "v1", "v2"]
    assert end is None
    staged, _ = await environments.list_variables(pool, WORKSPACE, environment="staging")
    assert [variable.values for variable in staged] == [{"staging": "b"}] * 2
    (one,), _ = await environments.list_variables(pool, WORKSPACE, label="v1")
    assert one.values == {"production": "a", "staging": "b"}
    assert await environments.list_variables(pool, WORKSPACE, kind="secret") == ([], None)


async def test_a_variable_keeps_its_secret(pool: Pool, vault: Vault, clock: ManualClock) -> None:
    secret_id = await secrets.create(pool, vault, clock, WORKSPACE, name="k", value="key")
    variable = await create(pool, clock, "api_key", "secret", production={"secret_id": secret_id})

    with pytest.raises(SecretInUse, match="the environment variable api_key"):
        await secrets.delete(pool, WORKSPACE, secret_id)
    await environments.delete_variable(pool, WORKSPACE, variable)
    await secrets.delete(pool, WORKSPACE, secret_id)
