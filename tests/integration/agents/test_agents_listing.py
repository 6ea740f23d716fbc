from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from greenline.agents import deletion, listing, service
from greenline.agents.config.system_tools import TransferToAgentParams
from greenline.agents.listing import Filter, list_agents
from greenline.agents.models import AgentChanges, AgentDefinition, AgentInUse, AgentNotFound
from greenline.clock import ManualClock
from greenline.ids import new_id
from greenline.store.cursor import InvalidCursor
from greenline.store.pool import Pool


@pytest.fixture
async def workspace_id(pool: Pool, clock: ManualClock) -> str:
    return await make_workspace(pool, clock)


async def make_workspace(pool: Pool, clock: ManualClock) -> str:
    workspace_id = new_id("ws")
    await pool.execute("insert into workspace values ($1, $1, $2)", workspace_id, clock.now())
    return workspace_id


@pytest.fixture
async def agents(pool: Pool, clock: ManualClock, workspace_id: str) -> dict[str, str]:
    """Four agents, a minute between each; ``beta`` is archived."""
    ids = {}
    for name, tags in (("alpha", ["x"]), ("Beta", ["x", "y"]), ("gamma", ["z"]), ("Delta 100%", [])):
        settings = {"archived": name == "Beta"}
        definition = AgentDefinition.model_validate(
            {"platform_settings": settings, "conversation_config": {"tts": {"voice_id": f"voice of {name}"}}}
        )
        ids[name] = await service.create(pool, clock, workspace_id, definition, name=name, tags=tags)
        clock.advance(timedelta(minutes=1))
    return ids


async def add_conversation(pool: Pool, workspace_id: str, agent_id: str, started_at: Any) -> None:
    await pool.execute(
        "insert into conversation (id, workspace_id, agent_id, branch_id, version_id, source, text_only, status,"
        " started_at) values ($1, $2, $3, 'b', 'v', 'whatsapp', true, 'done', $4)",
        *(new_id("conv"), workspace_id, agent_id, started_at),
    )


async def names(
    pool: Pool, clock: ManualClock, workspace_id: str, which: Filter | None = None, **order: Any
) -> list[str]:
    page = await list_agents(pool, clock, workspace_id, which or Filter(), **order)
    return [agent.name for agent in page.agents]


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize(
    ("which", "found"),
    [
        (Filter(), ["Delta 100%", "gamma", "Beta", "alpha"]),
        (Filter(search="TA"), ["Delta 100%", "Beta"]),
        (Filter(search="%"), ["Delta 100%"]),
        (Filter(search="_"), []),
        (Filter(archived=True), ["Beta"]),
        (Filter(archived=False), ["Delta 100%", "gamma", "alpha"]),
        (Filter(tags=("x",)), ["Beta", "alpha"]),
        (Filter(tags=("y", "z")), ["gamma", "Beta"]),
        (Filter(created_by="someone"), []),
        (Filter(search="a", tags=("x",), archived=False), ["alpha"]),
    ],
)
async def test_filters(pool: Pool, clock: ManualClock, workspace_id: str, which: Filter, found: list[str]) -> None:
    assert await names(pool, clock, workspace_id, which) == found


async def test_orders(pool: Pool, clock: ManualClock, workspace_id: str, agents: dict[str, str]) -> None:
    await service.update(pool, clock, workspace_id, agents["alpha"], AgentChanges(description="touched"))
    for name, days in (("gamma", [0, 1, 6]), ("alpha", [0]), ("Beta", [8, 9, 10, 11])):
        for day in days:
            await add_conversation(pool, workspace_id, agents[name], clock.now() - timedelta(days=day))

    async def ordered(by: str, direction: str) -> list[str]:
        return await names(pool, clock, workspace_id, sort_by=by, direction=direction)

    assert await ordered("name", "asc") == ["alpha", "Beta", "Delta 100%", "gamma"]
    assert await ordered("name", "desc") == ["gamma", "Delta 100%", "Beta", "alpha"]
    assert await ordered("created_at", "asc") == ["alpha", "Beta", "gamma", "Delta 100%"]
    assert await ordered("updated_at", "desc") == ["alpha", "Delta 100%", "gamma", "Beta"]
    assert (await ordered("call_count_7d", "desc"))[:2] == ["gamma", "alpha"]


@pytest.mark.parametrize("sort_by", ["name", "created_at", "updated_at", "call_count_7d"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_pages_show_each_agent_once(
    pool: Pool, clock: ManualClock, workspace_id: str, sort_by: Any, direction: Any
) -> None:
    created = {
        await service.create(pool, clock, workspace_id, AgentDefinition(), name=name)
        for name in ("a", "a", "b", "A", "c")
    }
    seen: list[str] = []
    cursor = None
    while True:
        page = await list_agents(
            pool, clock, workspace_id, Filter(), sort_by=sort_by, direction=direction, page_size=2, cursor=cursor
        )
        seen.extend(agent.id for agent in page.agents)
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.agents) == 2

    assert sorted(seen) == sorted(created)
    whole = await list_agents(pool, clock, workspace_id, Filter(), sort_by=sort_by, direction=direction)
    assert seen == [agent.id for agent in whole.agents]


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_names_from_before_their_limit_do_not_outgrow_a_cursor(
    pool: Pool, clock: ManualClock, workspace_id: str, direction: Any
) -> None:
    created = {await service.create(pool, clock, workspace_id, AgentDefinition(), name="n" * 100_000) for _ in "abc"}
    seen: list[str] = []
    cursor = None
    for _ in created:
        page = await list_agents(
            pool, clock, workspace_id, Filter(), sort_by="name", direction=direction, page_size=1, cursor=cursor
        )
        seen.extend(agent.id for agent in page.agents)
        cursor = page.next_cursor
        assert len(cursor or "") < 1000

    assert cursor is None
    assert seen == sorted(created, reverse=direction == "desc")


@pytest.mark.usefixtures("agents")
async def test_a_cursor_of_another_order_is_refused(pool: Pool, clock: ManualClock, workspace_id: str) -> None:
    page = await list_agents(pool, clock, workspace_id, Filter(), page_size=1)

    with pytest.raises(InvalidCursor):
        await list_agents(pool, clock, workspace_id, Filter(), sort_by="name", cursor=page.next_cursor)


async def test_summaries(pool: Pool, clock: ManualClock, workspace_id: str, agents: dict[str, str]) -> None:
    await add_conversation(pool, workspace_id, agents["Beta"], clock.now() - timedelta(days=2))
    await add_conversation(pool, workspace_id, agents["Beta"], clock.now() - timedelta(days=1))

    found = await listing.summaries(pool, workspace_id, [agents["Beta"], agents["alpha"], "agent_x"])

    assert sorted(found) == sorted([agents["Beta"], agents["alpha"]])
    beta = found[agents["Beta"]]
    assert (beta.name, beta.voice_id, beta.tags, beta.archived) == ("Beta", "voice of Beta", ("x", "y"), True)
    assert beta.last_call_at == clock.now() - timedelta(days=1)
    assert found[agents["alpha"]].last_call_at is None


async def test_another_workspace_lists_nothing(pool: Pool, clock: ManualClock, agents: dict[str, str]) -> None:
    stranger = await make_workspace(pool, clock)

    assert await names(pool, clock, stranger) == []
    assert await listing.summaries(pool, stranger, list(agents.values())) == {}
    with pytest.raises(AgentNotFound):
        await deletion.delete(pool, clock, stranger, agents["alpha"])


def transferring_to(*agent_ids: str) -> AgentDefinition:
    transfers = [{"agent_id": agent_id, "condition": "c"} for agent_id in agent_ids]
    tools = {"transfer_to_agent": {"params": {"transfers": transfers}}}
    return AgentDefinition.model_validate({"conversation_config": {"agent": {"prompt": {"built_in_tools": tools}}}})


async def test_an_agent_goes_with_all_of_its_versions(
    pool: Pool, clock: ManualClock, workspace_id: str, agents: dict[str, str]
) -> None:
    await deletion.delete(pool, clock, workspace_id, agents["alpha"])

    assert "alpha" not in await names(pool, clock, workspace_id)
    for table in ("agent_branch", "agent_version"):
        rows = await pool.fetch(f"select from {table} where agent_id = $1", agents["alpha"])
        assert rows == []
    with pytest.raises(AgentNotFound):
        await deletion.delete(pool, clock, workspace_id, agents["alpha"])


async def test_a_sub_agent_is_deleted_by_force_only(
    pool: Pool, clock: ManualClock, workspace_id: str, agents: dict[str, str]
) -> None:
    alpha, beta = agents["alpha"], agents["Beta"]
    user = await service.create(pool, clock, workspace_id, transferring_to(alpha, beta), name="Reception")
    before = await service.live_version(pool, workspace_id, user)

    with pytest.raises(AgentInUse, match="Reception") as error:
        await deletion.delete(pool, clock, workspace_id, alpha)
    assert error.value.detail()["agent_ids"] == [user]
    assert await service.live_version(pool, workspace_id, user) == before

    await deletion.delete(pool, clock, workspace_id, alpha, force=True)

    after = await service.live_version(pool, workspace_id, user)
    assert after.id != before.id
    tool = after.conversation_config.agent.prompt.built_in_tools.transfer_to_agent
    assert tool is not None
    assert isinstance(tool.params, TransferToAgentParams)
    assert [transfer.agent_id for transfer in tool.params.transfers] == [beta]
    assert await service.get_version(pool, workspace_id, before.id) == before


async def test_a_name_in_a_text_is_no_use(
    pool: Pool, clock: ManualClock, workspace_id: str, agents: dict[str, str]
) -> None:
    config = {"conversation_config": {"future": {"agent_id": agents["alpha"]}}}
    await service.create(pool, clock, workspace_id, AgentDefinition.model_validate(config))

    await deletion.delete(pool, clock, workspace_id, agents["alpha"])

    with pytest.raises(AgentNotFound):
        await service.live_version(pool, workspace_id, agents["alpha"])
