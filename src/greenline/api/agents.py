"""Agents over HTTP (reference: Agents)."""

from __future__ import annotations

import contextlib
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError

from greenline.agents import deletion, listing, service
from greenline.agents.listing import Filter, SortBy, SortDirection
from greenline.agents.models import Agent, AgentChanges, AgentDefinition, AgentNotFound
from greenline.api.agent_models import (
    AgentAnswer,
    AgentPage,
    CreateAgent,
    CreatedAgent,
    DuplicateAgent,
    SummaryFound,
    SummaryMissing,
    UpdateAgent,
    agent_answer,
    summary_answer,
)
from greenline.api.deps import Caller, Services
from greenline.api.refusing import refusing
from greenline.conversations.files import erase_orphans
from greenline.store.cursor import InvalidCursor
from greenline.store.objects import StorageFault

router = APIRouter(prefix="/v1/convai/agents", tags=["Agents"])

ME = "@me"


@router.post("/create")
async def create_agent(body: CreateAgent, services: Services, workspace: Caller) -> CreatedAgent:
    """Create an agent with a first version on its branch `Main`."""
    definition = AgentDefinition(
        conversation_config=body.conversation_config,
        platform_settings=body.platform_settings,
        workflow=body.workflow,
    )
    with refusing():
        agent_id = await service.create(
            services.pool, services.clock, workspace.id, definition, name=body.name, tags=body.tags
        )
    return CreatedAgent(agent_id=agent_id)


@router.get("")
async def list_agents(
    services: Services,
    workspace: Caller,
    page_size: Annotated[int, Query(ge=1, le=100)] = 30,
    search: Annotated[str | None, Query(description="Part of a name, in any case.")] = None,
    archived: Annotated[bool | None, Query(description="Archived ones only, or none of them.")] = None,
    show_only_owned_agents: Annotated[bool, Query(description="As created_by_user_id=@me.")] = False,
    created_by_user_id: Annotated[str | None, Query(description="@me is the caller.")] = None,
    tags: Annotated[list[str] | None, Query(description="Agents with any of these tags.")] = None,
    sort_direction: SortDirection = "desc",
    sort_by: SortBy = "created_at",
    cursor: str | None = None,
) -> AgentPage:
    """A page of the workspace's agents."""
    creator = created_by_user_id or (ME if show_only_owned_agents else None)
    which = Filter(
        search=search or None,
        archived=archived,
        tags=tuple(tags) if tags else None,
        # The key of a workspace is its only user.
        created_by=workspace.id if creator == ME else creator,
    )
    try:
        page = await listing.list_agents(
            services.pool,
            services.clock,
            workspace.id,
            which,
            sort_by=sort_by,
            direction=sort_direction,
            page_size=page_size,
            cursor=cursor,
        )
    except InvalidCursor as error:
        raise _invalid(("query", "cursor"), error.message, cursor) from error
    return AgentPage(
        agents=[summary_answer(agent) for agent in page.agents],
        next_cursor=page.next_cursor,
        has_more=page.next_cursor is not None,
    )


@router.get("/summaries")
async def get_summaries(
    services: Services, workspace: Caller, agent_ids: Annotated[list[str] | None, Query()] = None
) -> dict[str, SummaryFound | SummaryMissing]:
    """Summaries of several agents; each id succeeds or fails alone."""
    wanted = agent_ids or []
    found = await listing.summaries(services.pool, workspace.id, wanted)
    missing = AgentNotFound()
    return {
        agent_id: SummaryFound(data=summary_answer(found[agent_id]))
        if agent_id in found
        else SummaryMissing(error_code=missing.http_status, error_status=missing.code, error_message=missing.message)
        for agent_id in wanted
    }


@router.get("/{agent_id}")
async def get_agent(
    agent_id: str,
    services: Services,
    workspace: Caller,
    branch_id: str | None = None,
    version_id: str | None = None,
) -> AgentAnswer:
    """An agent at a version, else at the newest of a branch, else of the main branch."""
    agent = await service.get(services.pool, workspace.id, agent_id, branch_id=branch_id, version_id=version_id)
    return await _answer(services, workspace.id, agent)


@router.patch("/{agent_id}")
async def update_agent(
    agent_id: str, body: UpdateAgent, services: Services, workspace: Caller, branch_id: str | None = None
) -> AgentAnswer:
    """Commit changes as a new version on a branch, and answer with the whole agent."""
    changes = AgentChanges(
        name=body.name,
        tags=None if body.tags is None else tuple(body.tags),
        conversation_config=body.conversation_config,
        platform_settings=body.platform_settings,
        workflow=body.workflow,
        description=body.version_description or "",
    )
    with refusing():
        agent = await service.update(
            services.pool, services.clock, workspace.id, agent_id, changes, branch_id=branch_id
        )
    return await _answer(services, workspace.id, agent)


@router.delete("/{agent_id}")
async def delete_agent(agent_id: str, services: Services, workspace: Caller, force: bool = False) -> dict[str, str]:
    """Delete an agent; with ``force`` also where other agents use it as a sub-agent, which then lose it."""
    await deletion.delete(services.pool, services.clock, workspace.id, agent_id, force=force)
    with contextlib.suppress(StorageFault):  # they are erased when the storage is back
        await erase_orphans(services.pool, services.objects)
    return {"status": "ok"}


@router.post("/{agent_id}/duplicate")
async def duplicate_agent(
    agent_id: str, services: Services, workspace: Caller, body: DuplicateAgent | None = None
) -> CreatedAgent:
    """Copy an agent with its branches."""
    name = body.name if body else None
    copy_id = await service.duplicate(services.pool, services.clock, workspace.id, agent_id, name=name)
    return CreatedAgent(agent_id=copy_id)


async def _answer(services: Services, workspace_id: str, agent: Agent) -> AgentAnswer:
    accounts = await service.whatsapp_accounts(services.pool, workspace_id, agent.version.agent_id)
    return agent_answer(agent, [dict(account) for account in accounts])


def _invalid(place: tuple[str, ...], message: str, value: object) -> RequestValidationError:
    return RequestValidationError([{"type": "value_error", "loc": place, "msg": message, "input": value}])
