"""What an agent is: a name shared by its branches, and immutable versions of its definition on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from greenline.agents.config import ConversationConfig, PlatformSettings, Workflow
from greenline.agents.config.base import ConfigModel
from greenline.errors import BadRequest, NotFound

MAIN: Final = "Main"
DEFAULT_NAME: Final = "New agent"
MAX_NAME: Final = 500
"""Characters of an agent's name. The reference has no limit; without one the cursor of a page, which carries the name
of its last agent, would outgrow an address."""
CALL_COUNT_PERIOD: Final = timedelta(days=7)


class AgentDefinition(ConfigModel):
    """Everything that a commit stores, whole and valid."""

    conversation_config: ConversationConfig = ConversationConfig()
    platform_settings: PlatformSettings = PlatformSettings()
    workflow: Workflow = Workflow()


@dataclass(frozen=True, slots=True)
class AgentVersion:
    """A version as a conversation runs it.

    The definition never changes; ``agent_name`` and the settings that branches share (``auth``, ``call_limits``,
    ``privacy``, ``archived`` of ``platform_settings``) are those of the moment it was read.
    """

    id: str
    agent_id: str
    agent_name: str
    branch_id: str
    conversation_config: ConversationConfig
    platform_settings: PlatformSettings
    workflow: Workflow


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent at one of its versions."""

    version: AgentVersion
    tags: tuple[str, ...]
    main_branch_id: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AgentSummary:
    """A line of the list of agents."""

    id: str
    name: str
    voice_id: str
    tags: tuple[str, ...]
    archived: bool
    created_at: datetime
    updated_at: datetime
    last_call_at: datetime | None


@dataclass(frozen=True, slots=True)
class AgentChanges:
    """What a PATCH carries; None leaves a part as it is.

    ``conversation_config`` and ``platform_settings`` are merged into what is stored, ``workflow`` replaces it.
    """

    name: str | None = None
    tags: tuple[str, ...] | None = None
    conversation_config: dict[str, Any] | None = None
    platform_settings: dict[str, Any] | None = None
    workflow: dict[str, Any] | None = None
    description: str = ""


class AgentNotFound(NotFound):
    """No agent with this id is in the workspace of the API key."""

    code = "agent_not_found"


class BranchNotFound(NotFound):
    """The agent has no branch with this id."""

    code = "branch_not_found"


class VersionNotFound(NotFound):
    """The agent has no version with this id."""

    code = "version_not_found"


class AgentInUse(BadRequest):
    """Other agents hand conversations to this agent. Change them first, or delete it with force=true."""

    code = "agent_in_use"


class SharedByBranches(BadRequest):
    """Name and tags are shared by all branches: change them on the main branch."""

    code = "shared_by_branches"


class EnglishOnlyModel(BadRequest):
    """This speech model speaks English only. Choose another model for another language."""

    code = "english_only_tts_model"
