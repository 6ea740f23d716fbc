"""Agents that clients bring to a conversation (SDK: ``OnPremInitiationData``; JavaScript: ``orchestrator``).

A definition that was brought is kept as an archived agent, so that everything which reads of a conversation's agent
finds it. Its ids are derived from what it says: the same definition is the same agent, however often it is brought.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import asyncpg
import orjson
from pydantic import TypeAdapter

from greenline.agents.config.tools import InlineTool
from greenline.agents.merge import merge
from greenline.agents.models import DEFAULT_NAME, AgentDefinition, AgentVersion, VersionNotFound
from greenline.agents.service import create, get_version
from greenline.clock import Clock
from greenline.ids import derived_id
from greenline.store.pool import Pool

MAX_NAME: Final = 100
"""Characters that are kept of a brought agent's name."""

_OWN: Final = {"archived": True, "auth": {"enable_auth": True}}
"""Nobody comes to it by its id: it is out of the lists, and wants more than its id to be shown."""

_TOOLS: Final[TypeAdapter[list[InlineTool]]] = TypeAdapter(list[InlineTool])


def read_tools(exported: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Definitions of tools, bare or as the tools API wraps them (``{"id", "tool_config"}``), checked.

    Raises pydantic's ``ValidationError`` with places that begin with an entry's number.
    """
    bare = [tool.get("tool_config", tool) for tool in exported]
    return [tool.model_dump(mode="json") for tool in _TOOLS.validate_python(bare)]


def read_definition(
    exported: Mapping[str, Any], overrides: Iterable[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> tuple[str, AgentDefinition]:
    """Name and definition of an agent in the form in which the agents API gives it, changed by each override in turn.

    A tool takes the place of the agent's own of the same name. Raises pydantic's ``ValidationError``.
    """
    whole = functools.reduce(merge, overrides, exported)
    parts = {name: whole[name] for name in AgentDefinition.model_fields if whole.get(name) is not None}
    definition = AgentDefinition.model_validate(parts).model_dump(mode="json")
    named = {tool.get("name") for tool in tools}
    own = definition["conversation_config"]["agent"]["prompt"]["tools"]
    all_tools = [*(tool for tool in own if tool.get("name") not in named), *tools]
    changes = {
        "conversation_config": {"agent": {"prompt": {"tools": all_tools}}},
        "platform_settings": _OWN,
    }
    return str(whole.get("name") or DEFAULT_NAME)[:MAX_NAME], AgentDefinition.model_validate(
        merge(definition, changes)
    )


async def bring(pool: Pool, clock: Clock, workspace_id: str, name: str, definition: AgentDefinition) -> AgentVersion:
    """The version that runs a brought definition.

    Raises the errors of `greenline.agents.service.create`.
    """
    written = orjson.dumps(definition.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS).decode()
    agent_id = derived_id("agent", workspace_id, name, written)
    version_id = derived_id("agtvrsn", agent_id)
    with contextlib.suppress(VersionNotFound):
        return await get_version(pool, workspace_id, version_id)
    with contextlib.suppress(asyncpg.UniqueViolationError):  # brought by somebody else at the same moment
        await create(pool, clock, workspace_id, definition, name=name, agent_id=agent_id, version_id=version_id)
    return await get_version(pool, workspace_id, version_id)
