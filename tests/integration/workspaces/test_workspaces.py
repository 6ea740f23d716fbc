"""Workspaces and keys: made, recognised, revoked."""

import asyncio
from datetime import timedelta

import pytest

from greenline.clock import ManualClock
from greenline.errors import InvalidApiKey
from greenline.store.pool import Pool
from greenline.workspaces import service
from greenline.workspaces.keyring import CAPACITY, REMEMBERED, Keyring
from greenline.workspaces.models import DEFAULT_ID, BlankName, KeyNotFound, KeyOfAnotherWorkspace, WorkspaceNotFound


async def test_a_key_opens_its_workspace_only(pool: Pool, clock: ManualClock) -> None:
    shop, bakery = await service.create(pool, clock, "Shop"), await service.create(pool, clock, "Bakery")
    key = await service.create_key(pool, clock, shop.id, "till")
    assert await service.authenticate(pool, key.secret) == shop
    assert await service.list_keys(pool, bakery.id) == []
    with pytest.raises(KeyNotFound):
        await service.revoke_key(pool, clock, bakery.id, key.id)


@pytest.mark.parametrize("name", ["", "  ", "\n\t"])
async def test_a_blank_name_is_refused(pool: Pool, clock: ManualClock, name: str) -> None:
    shop = await service.create(pool, clock, " Shop\n of Ann ")
    with pytest.raises(BlankName):
        await service.create(pool, clock, name)
    with pytest.raises(BlankName):
        await service.create_key(pool, clock, shop.id, name)
    assert "Shop of Ann" in [workspace.name for workspace in await service.list_all(pool)]
    assert await service.list_keys(pool, shop.id) == []


async def test_a_key_is_strong_and_shown_once(pool: Pool, clock: ManualClock) -> None:
    workspace = await service.create(pool, clock, "Shop")
    key = await service.create_key(pool, clock, workspace.id, "till")
    assert key.secret.startswith("gl_")
    assert len(key.secret) == 3 + 43  # 256 bits in base64
    assert key.secret not in repr(key)
    [listed] = await service.list_keys(pool, workspace.id)
    assert (listed.id, listed.name, listed.hint, listed.revoked_at) == (key.id, "till", key.secret[-4:], None)
    stored = await pool.fetchval("select row_to_json(api_key)::text from api_key where id = $1", key.id)
    assert key.secret not in stored


async def test_a_revoked_workspace_lets_nobody_in_until_it_has_a_new_key(pool: Pool, clock: ManualClock) -> None:
    workspace, other = await service.create(pool, clock, "Shop"), await service.create(pool, clock, "Other")
    keys = [await service.create_key(pool, clock, workspace.id, name) for name in ("till", "site")]
    strange = await service.create_key(pool, clock, other.id, "till")

    revoked = await service.revoke(pool, clock, workspace.id)

    assert {key.id for key in revoked} == {key.id for key in keys}
    assert [await service.authenticate(pool, key.secret) for key in keys] == [None, None]
    assert await service.authenticate(pool, strange.secret) == other
    assert await service.revoke(pool, clock, workspace.id) == []
    new = await service.create_key(pool, clock, workspace.id, "new")
    assert await service.authenticate(pool, new.secret) == workspace
    with pytest.raises(WorkspaceNotFound):
        await service.revoke(pool, clock, "workspace_unknown")


async def test_a_revoked_key_stops_working_within_seconds(pool: Pool, clock: ManualClock) -> None:
    workspace = await service.create(pool, clock, "Shop")
    key = await service.create_key(pool, clock, workspace.id, "till")
    keyring = Keyring(pool, clock)
    assert await keyring.authenticate(key.secret) == workspace
    await service.revoke_key(pool, clock, workspace.id, key.id)
    clock.advance(REMEMBERED)
    with pytest.raises(InvalidApiKey):
        await keyring.authenticate(key.secret)


async def test_revoking_twice_keeps_the_first_time(pool: Pool, clock: ManualClock) -> None:
    workspace = await service.create(pool, clock, "Shop")
    key = await service.create_key(pool, clock, workspace.id, "till")
    first = await service.revoke_key(pool, clock, workspace.id, key.id)
    clock.advance(timedelta(days=1))
    assert await service.revoke_key(pool, clock, workspace.id, key.id) == first


@pytest.mark.parametrize("key", ["", "gl_unknown", "\ud800", "a" * 100_000, "ключ"])
async def test_other_texts_are_no_keys(key: str, pool: Pool, clock: ManualClock) -> None:
    with pytest.raises(InvalidApiKey):
        await Keyring(pool, clock).authenticate(key)


async def test_the_keyring_stays_small(pool: Pool, clock: ManualClock) -> None:
    workspace = await service.create(pool, clock, "Shop")
    keyring = Keyring(pool, clock)
    await pool.execute(
        "insert into api_key select 'k' || n, $1, '', sha256(('k' || n)::bytea), '', now() "
        "from generate_series(1, $2) as n",
        workspace.id,
        CAPACITY + 1,
    )
    for number in range(1, CAPACITY + 2):
        await keyring.authenticate(f"k{number}")
    assert len(keyring._known) <= CAPACITY


async def test_an_unknown_workspace_is_told(pool: Pool) -> None:
    with pytest.raises(WorkspaceNotFound):
        await service.get(pool, "workspace_unknown")


async def test_starters_make_one_workspace_and_one_key(pool: Pool, clock: ManualClock) -> None:
    made = await asyncio.gather(*(service.bootstrap(pool, clock, None) for _ in range(5)))
    [key] = [one for one in made if one is not None]
    [workspace] = await service.list_all(pool)
    assert await service.authenticate(pool, key.secret) == workspace
    assert await service.bootstrap(pool, clock, None) is None


async def test_a_first_key_that_was_revoked_is_not_replaced(pool: Pool, clock: ManualClock) -> None:
    key = await service.bootstrap(pool, clock, None)
    assert key is not None
    await service.revoke_key(pool, clock, DEFAULT_ID, key.id)
    assert await service.bootstrap(pool, clock, None) is None


async def test_the_bootstrap_key_is_replaced_by_another_value(pool: Pool, clock: ManualClock) -> None:
    for value in ("old", "old", "new"):
        await asyncio.gather(*(service.bootstrap(pool, clock, value) for _ in range(3)))
    assert await service.authenticate(pool, "old") is None
    workspace = await service.authenticate(pool, "new")
    assert workspace is not None
    assert workspace.id == DEFAULT_ID
    assert [key.hint for key in await service.list_keys(pool, DEFAULT_ID)] == [""]


async def test_a_revoked_bootstrap_key_stays_revoked(pool: Pool, clock: ManualClock) -> None:
    await service.bootstrap(pool, clock, "leaked")
    await service.revoke_key(pool, clock, DEFAULT_ID, "key_bootstrap")
    await service.bootstrap(pool, clock, "leaked")
    assert await service.authenticate(pool, "leaked") is None
    await service.bootstrap(pool, clock, "fresh")
    assert await service.authenticate(pool, "fresh") is not None


async def test_the_key_of_another_workspace_is_no_bootstrap_key(pool: Pool, clock: ManualClock) -> None:
    await service.bootstrap(pool, clock, "default")
    other = await service.create(pool, clock, "Other")
    key = await service.create_key(pool, clock, other.id, "till")
    with pytest.raises(KeyOfAnotherWorkspace, match="GREENLINE_API_KEY"):
        await service.bootstrap(pool, clock, key.secret)
