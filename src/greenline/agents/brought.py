"""Agents that clients bring to a conversation (SDK: ``OnPremInitiationData``; JavaScript: ``orchestrator``).

A definition that was brought is kept as an archived agent, so that everything which reads of a conversation's agent
finds it. Its ids are derived from what it says: the same definition is the same agent, however often it is brought.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import asyncpg
import orjson
from pydantic import TypeAdapter

from greenline.agents.config.access import AuthSettings
from greenline.agents.config.tools import InlineTool
from greenline.agents.deletion import delete
from greenline.agents.merge import merge
from greenline.agents.models import (
    DEFAULT_NAME,
    MAX_NAME,
    AgentDefinition,
    AgentNotFound,
    AgentVersion,
    VersionNotFound,
)
from greenline.agents.secrets import Place
from greenline.agents.service import create, get_version
from greenline.agents.variables import environment_labels
from greenline.clock import Clock
from greenline.errors import BadRequest
from greenline.ids import derived_id
from greenline.store.pool import Pool
from greenline.store.sql import load_sql

UNUSED: Final = timedelta(days=1)
"""Longer than any queue before an agent: a conversation with it may be about to begin."""

_KEPT: Final = {"secret_id": str, "env_var_label": str, "mcp_server_ids": list}
"""Fields by which an agent uses what its workspace keeps; a parameter of a tool may have such a name too."""

_sql = load_sql(__package__, "brought.sql")
_TOOLS: Final[TypeAdapter[list[InlineTool]]] = TypeAdapter(list[InlineTool])


class NestedTooDeeply(BadRequest):
    """The agent is nested more deeply than it can be kept. Take the deepest schemas of its tools apart."""

    code = "nested_too_deeply"


class KeyNeeded(BadRequest):
    """Who shows no API key may use nothing that the workspace keeps."""

    code = "api_key_needed"

    def __init__(self, place: Place) -> None:
        named = ".".join(map(str, place))
        super().__init__(
            "Who shows no API key may use nothing that this server keeps, such as secrets, environment variables and "
            f"MCP servers. Take {named} out, or connect with a key."
        )


@dataclass(frozen=True, slots=True)
class Brought:
    """An agent as a client brought it. ``written`` is all that it says."""

    name: str
    definition: AgentDefinition = field(repr=False)
    written: str = field(repr=False)


def read_tools(exported: Sequence[Mapping[str, Any]]) -> list[InlineTool]:
    """Definitions of tools, bare or as the tools API wraps them (``{"id", "tool_config"}``), checked.

    Raises pydantic's ``ValidationError`` with places that begin with an entry's number.
    """
    return _TOOLS.validate_python([tool.get("tool_config", tool) for tool in exported])


def read_agent(
    exported: Mapping[str, Any], overrides: Iterable[Mapping[str, Any]], tools: Sequence[InlineTool]
) -> Brought:
    """An agent in the form in which the agents API gives it, changed by each override in turn.

    A tool takes the place of the agent's own of the same name. Raises pydantic's ``ValidationError`` and
    `NestedTooDeeply`. May take a second for the largest messages.
    """
    whole = functools.reduce(merge, overrides, exported)
    parts = {name: whole[name] for name in AgentDefinition.model_fields if whole.get(name) is not None}
    definition = _own(_with_tools(AgentDefinition.model_validate(parts), tools))
    try:
        written = orjson.dumps(definition.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:
        raise NestedTooDeeply from None
    return Brought(str(whole.get("name") or DEFAULT_NAME)[:MAX_NAME], definition, written)


def _with_tools(definition: AgentDefinition, tools: Sequence[InlineTool]) -> AgentDefinition:
    config = definition.conversation_config
    agent = config.agent
    named = {_name(tool) for tool in tools}
    all_tools = [*(tool for tool in agent.prompt.tools if _name(tool) not in named), *tools]
    prompt = agent.prompt.model_copy(update={"tools": all_tools})
    changed = config.model_copy(update={"agent": agent.model_copy(update={"prompt": prompt})})
    return definition.model_copy(update={"conversation_config": changed})


def _name(tool: InlineTool) -> Any:
    return getattr(tool, "name", None)


def _own(definition: AgentDefinition) -> AgentDefinition:
    """Out of the lists, opened by nothing that a client knows; recordings for who waits come by upload alone."""
    settings = definition.platform_settings
    changes = {
        "archived": True,
        "auth": AuthSettings(enable_auth=True),
        "queueing_config": settings.queueing_config.model_copy(update={"hold_audio": None}),
    }
    return definition.model_copy(update={"platform_settings": settings.model_copy(update=changes)})


def check_brings_all(value: Any) -> None:
    """Raise `KeyNeeded` if a definition, or start data, uses what the workspace keeps."""
    place = next(_uses(value, ()), None)
    if place is not None:
        raise KeyNeeded(place)


def _uses(value: Any, place: Place) -> Iterator[Place]:
    if isinstance(value, dict):
        for key, child in value.items():
            if child and isinstance(child, _KEPT.get(key, ())):
                yield (*place, key)
            else:
                yield from _uses(child, (*place, key))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _uses(child, (*place, number))
    elif isinstance(value, str) and environment_labels([value]):
        yield place


async def bring(pool: Pool, clock: Clock, workspace_id: str, brought: Brought) -> AgentVersion:
    """The version that runs what was brought.

    Raises the errors of `greenline.agents.service.create`.
    """
    agent_id = derived_id("agent", workspace_id, brought.name, brought.written)
    version_id = derived_id("agtvrsn", agent_id)
    with contextlib.suppress(VersionNotFound):
        await pool.execute(_sql["bring"], workspace_id, agent_id, clock.now())  # first: from now on it is not unused
        return await get_version(pool, workspace_id, version_id)
    with contextlib.suppress(asyncpg.UniqueViolationError):  # brought by somebody else at the same moment
        await create(
            pool, clock, workspace_id, brought.definition,
            name=brought.name, agent_id=agent_id, version_id=version_id,
        )  # fmt: skip
    await pool.execute(_sql["bring"], workspace_id, agent_id, clock.now())
    return await get_version(pool, workspace_id, version_id)


async def forget_unused(pool: Pool, clock: Clock, limit: int) -> int:
    """Delete brought agents with which nothing is left of what was said; returns how many, at most ``limit``.

    What a client brings may hold what is personal, as the transcripts do, and nobody else can come to it.
    """
    unused = await pool.fetch(_sql["unused"], clock.now() - UNUSED, limit)
    for row in unused:
        with contextlib.suppress(AgentNotFound):  # another process is as quick
            await delete(pool, clock, row["workspace_id"], row["id"], force=True)
    return len(unused)
