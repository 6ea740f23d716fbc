from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from greenline.agents import service
from greenline.agents.models import (
    AgentChanges,
    AgentDefinition,
    AgentNotFound,
    BranchNotFound,
    EnglishOnlyModel,
    SharedByBranches,
    VersionNotFound,
)
from greenline.clock import ManualClock
from greenline.ids import new_id
from greenline.store.pool import Pool


@pytest.fixture
async def workspace_id(pool: Pool, clock: ManualClock) -> str:
    return await make_workspace(pool, clock)


async def make_workspace(pool: Pool, clock: ManualClock) -> str:
    workspace_id = new_id("ws")
    await pool.execute("insert into workspace values ($1, $1, $2)", workspace_id, clock.now())
    return workspace_id


def definition(**parts: Any) -> AgentDefinition:
    return AgentDefinition.model_validate(parts)


def prompt(**fields: Any) -> dict[str, Any]:
    return {"agent": {"prompt": fields}}


async def numbers(pool: Pool, branch_id: str) -> list[int]:
    rows = await pool.fetch("select number from agent_version where branch_id = $1 order by number", branch_id)
    return [row["number"] for row in rows]


async def add_branch(pool: Pool, clock: ManualClock, workspace_id: str, agent_id: str, **columns: Any) -> str:
    """A branch from the newest version of Main, as a later part of the API will make it."""
    main = await service.get(pool, workspace_id, agent_id)
    branch_id, version_id, now = new_id("agtbrch"), new_id("agtvrsn"), clock.now()
    columns = {"name": "test", "is_archived": False, "traffic_percentage": 0.0, **columns}
    await pool.execute(
        "insert into agent_branch values ($1, $2, $3, $4, '', $5, $6, $7, $8, $9, $9)",
        *(branch_id, workspace_id, agent_id, columns["name"], version_id, main.version.id),
        *(columns["traffic_percentage"], columns["is_archived"], now),
    )
    await pool.execute(
        "insert into agent_version select $1, workspace_id, agent_id, $2, 1, config, '', id, null, $3"
        " from agent_version where id = $4",
        *(version_id, branch_id, now, main.version.id),
    )
    return branch_id


async def test_a_new_agent_has_a_first_version_on_main(pool: Pool, clock: ManualClock, workspace_id: str) -> None:
    agent_id = await service.create(
        pool,
        clock,
        workspace_id,
        definition(conversation_config=prompt(prompt="Hi")),
        name="Shop",
        tags=["a", "b"],
    )
    agent = await service.get(pool, workspace_id, agent_id)

    assert agent_id.startswith("agent_")
    assert agent.version.agent_name == "Shop"
    assert agent.tags == ("a", "b")
    assert agent.version.conversation_config.agent.prompt.prompt == "Hi"
    assert agent.version.branch_id == agent.main_branch_id
    assert agent.version.branch_id.startswith("agtbrch_")
    assert agent.version.id.startswith("agtvrsn_")
    assert agent.created_at == agent.updated_at == clock.now()
    assert await numbers(pool, agent.main_branch_id) == [1]


async def test_an_update_merges_and_commits_a_new_version(pool: Pool, clock: ManualClock, workspace_id: str) -> None:
    agent_id = await service.create(
        pool,
        clock,
        workspace_id,
        definition(conversation_config=prompt(prompt="Hi", llm="gpt-4o", tool_ids=["a", "b"])),
    )
    first = await service.get(pool, workspace_id, agent_id)
    clock.advance(timedelta(hours=1))

    changes = AgentChanges(name="New name", conversation_config=prompt(llm=None, tool_ids=["c"]), description="why")
    second = await service.update(pool, clock, workspace_id, agent_id, changes)

    config = second.version.conversation_config.agent.prompt
    assert (config.prompt, config.llm, config.tool_ids) == ("Hi", "gemini-2.5-flash", ["c"])
    assert second.version.agent_name == "New name"
    assert second.updated_at == first.updated_at + timedelta(hours=1)
    assert await numbers(pool, second.main_branch_id) == [1, 2]
    row = await pool.fetchrow("select * from agent_version where id = $1", second.version.id)
    assert row is not None
    assert (row["description"], row["parent_version_id"]) == ("why", first.version.id)


async def test_an_old_version_stays_as_it_was(pool: Pool, clock: ManualClock, workspace_id: str) -> None:
    agent_id = await service.create(pool, clock, workspace_id, definition(conversation_config=prompt(prompt="one")))
    old = await service.live_version(pool, workspace_id, agent_id)
    await service.update(pool, clock, workspace_id, agent_id, AgentChanges(conversation_config=prompt(prompt="two")))

    assert await service.get_version(pool, workspace_id, old.id) == old
    live = await service.live_version(pool, workspace_id, agent_id)
    assert live.conversation_config.agent.prompt.prompt == "two"
    read = await service.get(pool, workspace_id, agent_id, version_id=old.id)
    assert read.version.conversation_config.agent.prompt.prompt == "one"


async def test_updates_at_once_all_land(pool: Pool, clock: ManualClock, workspace_id: str) -> None:
    agent_id = await service.create(pool, clock, workspace_id, definition())
    changes = [AgentChanges(conversation_config={f"field_{number}": number}) for number in range(12)]

    await asyncio.gather(*(service.update(pool, clock, workspace_id, agent_id, change) for change in changes))

    agent = await service.get(pool, workspace_id, agent_id)
    extra = agent.version.conversation_config.model_extra or {}
    assert extra == {f"field_{number}": number for number in range(12)}
    assert await numbers(pool, agent.main_branch_id) == list(range(1, 14))


async def test_a_refused_update_changes_nothing(pool: Pool, clock: ManualClock, workspace_id: str) -> None:
    agent_id = await service.create(pool, clock, workspace_id, definition())

    with pytest.raises(ValidationError) as error:
        await service.update(
            pool, clock, workspace_id, agent_id, AgentChanges(name="x", conversation_config={"tts": {"speed": 9}})
        )
    with pytest.raises(EnglishOnlyModel):
        await service.update(
            pool, clock, workspace_id, agent_id, AgentChanges(conversation_config={"agent": {"language": "de"}})
        )

    assert error.value.errors()[0]["loc"] == ("conversation_config", "tts", "speed")
    agent = await service.get(pool, workspace_id, agent_id)
    assert agent.version.agent_name == "New agent"
    assert await numbers(pool, agent.main_branch_id) == [1]


async def test_a_workflow_is_replaced_as_a_whole(pool: Pool, clock: ManualClock, workspace_id: str) -> None:
    nodes = {"start_node": {"type": "start"}, "end": {"type": "end"}}
    agent_id = await service.create(pool, clock, workspace_id, definition(workflow={"nodes": nodes}))

    kept = await service.update(pool, clock, workspace_id, agent_id, AgentChanges(conversation_config={}))
    replaced = await service.update(
        pool, clock, workspace_id, agent_id, AgentChanges(workflow={"nodes": {"start_node": {"type": "start"}}})
    )

    assert sorted(kept.version.workflow.nodes) == ["end", "start_node"]
    assert sorted(replaced.version.workflow.nodes) == ["start_node"]


async def test_shared_settings_are_the_same_on_every_branch(
    pool: Pool, clock: ManualClock, workspace_id: str
) -> None:
    agent_id = await service.create(pool, clock, workspace_id, definition())
    branch_id = await add_branch(pool, clock, workspace_id, agent_id)
    old = await service.live_version(pool, workspace_id, agent_id)
    platform = {"auth": {"enable_auth": True}, "call_limits": {"daily_limit": 5}, "archived": True}

    await service.update(pool, clock, workspace_id, agent_id, AgentChanges(platform_settings=platform))

    for version in (
        await service.live_version(pool, workspace_id, agent_id, branch_id=branch_id),
        await service.get_version(pool, workspace_id, old.id),
    ):
        assert version.platform_settings.auth.enable_auth is True
        assert version.platform_settings.call_limits.daily_limit == 5
        assert version.platform_settings.archived is True


async def test_a_branch_has_versions_of_its_own(pool: Pool, clock: ManualClock, workspace_id: str) -> None:
    agent_id = await service.create(pool, clock, workspace_id, definition(), name="Shop", tags=["a"])
    branch_id = await add_branch(pool, clock, workspace_id, agent_id)

    changes = AgentChanges(name="Shop", tags=("a",), conversation_config=prompt(prompt="on the branch"))
    updated = await service.update(pool, clock, workspace_id, agent_id, changes, branch_id=branch_id)

    assert updated.version.branch_id == branch_id
    assert updated.version.conversation_config.agent.prompt.prompt == "on the branch"
    main = await service.live_version(pool, workspace_id, agent_id)
    assert main.conversation_config.agent.prompt.prompt == ""
    for renamed in (AgentChanges(name="Other"), AgentChanges(tags=("b",))):
        with pytest.raises(SharedByBranches):
            await service.update(pool, clock, workspace_id, agent_id, renamed, branch_id=branch_id)


async def test_a_duplicate_has_every_branch_that_is_not_archived(
    pool: Pool, clock: ManualClock, workspace_id: str
) -> None:
    agent_id = await service.create(
        pool,
        clock,
        workspace_id,
        definition(platform_settings={"auth": {"enable_auth": True}}),
        name="Shop",
        tags=["a"],
    )
    await service.update(pool, clock, workspace_id, agent_id, AgentChanges(conversation_config=prompt(prompt="new")))
    await add_branch(pool, clock, workspace_id, agent_id, name="kept", traffic_percentage=20.0)
    await add_branch(pool, clock, workspace_id, agent_id, name="old", is_archived=True, traffic_percentage=30.0)
    await pool.execute("update agent_branch set traffic_percentage = 50 where name = 'Main'")

    copy_id = await service.duplicate(pool, clock, workspace_id, agent_id)

    copy = await service.get(pool, workspace_id, copy_id)
    assert copy.version.agent_name == "Shop (copy)"
    assert copy.tags == ("a",)
    assert copy.version.conversation_config.agent.prompt.prompt == "new"
    assert copy.version.platform_settings.auth.enable_auth is True
    assert await numbers(pool, copy.main_branch_id) == [1]
    rows = await pool.fetch("select name, traffic_percentage from agent_branch where agent_id = $1", copy_id)
    assert {row["name"]: row["traffic_percentage"] for row in rows} == {"Main": 80.0, "kept": 20.0}


async def test_what_is_not_there_is_named(pool: Pool, clock: ManualClock, workspace_id: str) -> None:
    agent_id = await service.create(pool, clock, workspace_id, definition())
    other_id = await service.create(pool, clock, workspace_id, definition())
    other = await service.get(pool, workspace_id, other_id)

    with pytest.raises(AgentNotFound):
        await service.get(pool, workspace_id, "agent_x")
    with pytest.raises(BranchNotFound):
        await service.get(pool, workspace_id, agent_id, branch_id=other.main_branch_id)
    with pytest.raises(VersionNotFound):
        await service.get(pool, workspace_id, agent_id, version_id=other.version.id)
    with pytest.raises(VersionNotFound):
        await service.get_version(pool, workspace_id, "agtvrsn_x")
    with pytest.raises(AgentNotFound):
        await service.update(pool, clock, workspace_id, "agent_x", AgentChanges())
    with pytest.raises(BranchNotFound):
        await service.update(pool, clock, workspace_id, agent_id, AgentChanges(), branch_id=other.main_branch_id)
    with pytest.raises(AgentNotFound):
        await service.duplicate(pool, clock, workspace_id, "agent_x")


async def test_another_workspace_sees_nothing(pool: Pool, clock: ManualClock, workspace_id: str) -> None:
    agent_id = await service.create(pool, clock, workspace_id, definition())
    version = await service.live_version(pool, workspace_id, agent_id)
    stranger = await make_workspace(pool, clock)

    with pytest.raises(AgentNotFound):
        await service.get(pool, stranger, agent_id)
    with pytest.raises(VersionNotFound):
        await service.get_version(pool, stranger, version.id)
    with pytest.raises(AgentNotFound):
        await service.update(pool, clock, stranger, agent_id, AgentChanges(name="mine"))
    with pytest.raises(AgentNotFound):
        await service.duplicate(pool, clock, stranger, agent_id)
    assert await service.whatsapp_accounts(pool, stranger, agent_id) == []


async def test_the_numbers_of_an_agent(pool: Pool, clock: ManualClock, workspace_id: str) -> None:
    agent_id = await service.create(pool, clock, workspace_id, definition(), name="Shop")
    await pool.execute(
        "insert into whatsapp_account (phone_number_id, workspace_id, business_account_id, business_account_name,"
        " phone_number_name, phone_number, token, assigned_agent_id, created_at, updated_at)"
        " values ('1', $1, 'b', 'Acme', 'Support', '+4930123456', '', $2, $3, $3)",
        *(workspace_id, agent_id, clock.now()),
    )

    (account,) = await service.whatsapp_accounts(pool, workspace_id, agent_id)

    assert dict(account) == {
        "phone_number_id": "1",
        "business_account_id": "b",
        "business_account_name": "Acme",
        "phone_number_name": "Support",
        "phone_number": "+4930123456",
        "account_type": None,
        "assigned_agent_id": agent_id,
        "assigned_agent_name": "Shop",
        "enable_messaging": True,
        "enable_audio_message_response": True,
        "enable_typing_indicator": True,
        "is_token_expired": False,
        "findings": [],
    }
