"""Workspace secrets in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from greenline.agents import service as agents
from greenline.agents.models import AgentDefinition
from greenline.clock import ManualClock
from greenline.store.pool import Pool
from greenline.store.vault import SecretUnreadable, Vault
from greenline.workspaces import secrets
from greenline.workspaces.secrets import SecretInUse, SecretNotFound
from support.rows import WORKSPACE, insert_workspace
from support.wait import until

VALUE = "sk-very-secret"
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@pytest.fixture
def vault() -> Vault:
    return Vault(bytes(32))


@pytest.fixture(autouse=True)
async def workspace(pool: Pool, clock: ManualClock) -> None:
    await insert_workspace(pool, clock.now())


async def create(pool: Pool, vault: Vault, clock: ManualClock, name: str = "key") -> str:
    return await secrets.create(pool, vault, clock, WORKSPACE, name=name, value=VALUE)


async def reveal(pool: Pool, vault: Vault, *ids: str, workspace_id: str = WORKSPACE) -> Mapping[str, str]:
    return await secrets.reveal(pool, vault, workspace_id, ids)


def using(secret_id: str) -> AgentDefinition:
    custom: dict[str, Any] = {"url": "https://m.example", "api_key": {"secret_id": secret_id}}
    prompt = {"llm": "custom-llm", "custom_llm": custom}
    return AgentDefinition.model_validate({"conversation_config": {"agent": {"prompt": prompt}}})


async def test_a_value_lies_sealed_and_is_revealed(pool: Pool, vault: Vault, clock: ManualClock) -> None:
    secret_id = await create(pool, vault, clock)

    row = await pool.fetchrow("select * from workspace_secret")
    assert row is not None
    assert VALUE.encode() not in row["value"]
    assert await reveal(pool, vault, secret_id, "secret_none") == {secret_id: VALUE}
    assert VALUE not in repr(await secrets.get(pool, WORKSPACE, secret_id, preview=5))


async def test_a_copied_row_opens_nothing(pool: Pool, vault: Vault, clock: ManualClock) -> None:
    await create(pool, vault, clock)
    await insert_workspace(pool, clock.now(), "ws_thief")
    await pool.execute("update workspace_secret set workspace_id = 'ws_thief'")
    stolen = await pool.fetchval("select id from workspace_secret")

    with pytest.raises(SecretUnreadable):
        await reveal(pool, vault, stolen, workspace_id="ws_thief")


async def test_another_workspace_sees_nothing(pool: Pool, vault: Vault, clock: ManualClock) -> None:
    secret_id = await create(pool, vault, clock)
    await insert_workspace(pool, clock.now(), "ws_other")

    assert await reveal(pool, vault, secret_id, workspace_id="ws_other") == {}
    assert await secrets.list_secrets(pool, "ws_other", preview=5) == ([], None)
    for refused in (
        secrets.get(pool, "ws_other", secret_id, preview=5),
        secrets.update(pool, vault, clock, "ws_other", secret_id, name="x", value="y"),
        secrets.delete(pool, "ws_other", secret_id),
        secrets.list_agents(pool, "ws_other", secret_id, page_size=5),
    ):
        with pytest.raises(SecretNotFound):
            await refused


async def test_pages_go_from_new_to_old(pool: Pool, vault: Vault, clock: ManualClock) -> None:
    made = []
    for number in range(5):
        made.append(await create(pool, vault, clock, f"Key {number}"))
        clock.advance(timedelta(seconds=number % 2))

    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = await secrets.list_secrets(pool, WORKSPACE, page_size=2, cursor=cursor, preview=1)
        seen.extend(secret.id for secret in page)
        if cursor is None:
            break

    everything, _ = await secrets.list_secrets(pool, WORKSPACE, preview=1)
    assert seen == [secret.id for secret in everything]
    assert sorted(seen) == sorted(made)
    found, _ = await secrets.list_secrets(pool, WORKSPACE, search="key 3", preview=1)
    assert [secret.name for secret in found] == ["Key 3"]


async def test_agents_at_the_tip_of_a_branch_keep_a_secret(pool: Pool, vault: Vault, clock: ManualClock) -> None:
    secret_id, unused = await create(pool, vault, clock), await create(pool, vault, clock)
    users = []
    for number in range(3):
        clock.advance(timedelta(seconds=1))
        users.append(await agents.create(pool, clock, WORKSPACE, using(secret_id), name=f"Agent {number}"))

    found = await secrets.get(pool, WORKSPACE, secret_id, preview=2)
    assert ([user.name for user in found.agents], found.has_more) == (["Agent 2", "Agent 1"], True)
    first, cursor = await secrets.list_agents(pool, WORKSPACE, secret_id, page_size=2)
    rest, end = await secrets.list_agents(pool, WORKSPACE, secret_id, page_size=2, cursor=cursor)
    assert ([user.id for user in (*first, *rest)], end) == (users[::-1], None)
    with pytest.raises(SecretInUse, match="Agent 2, Agent 1, Agent 0"):
        await secrets.delete(pool, WORKSPACE, secret_id)
    await secrets.delete(pool, WORKSPACE, unused)
    assert list(await reveal(pool, vault, secret_id, unused)) == [secret_id]


async def test_a_deletion_waits_for_a_transaction_that_holds_the_secret(
    pool: Pool, vault: Vault, clock: ManualClock
) -> None:
    secret_id = await create(pool, vault, clock)
    async with pool.acquire() as connection, connection.transaction():
        assert await secrets.hold(connection, WORKSPACE, {secret_id, "secret_none"}) == {secret_id}
        deletion = asyncio.create_task(secrets.delete(pool, WORKSPACE, secret_id))
        await until(lambda: connection.fetchval(WAITING))
        assert not deletion.done()
    await deletion
