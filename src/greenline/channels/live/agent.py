"""Who speaks in a live conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from greenline.agents.config import ConfigOverride, ConversationConfig
from greenline.agents.initiation import SourceInfo
from greenline.agents.lookup import Lookup
from greenline.agents.models import AgentVersion
from greenline.agents.overrides import apply_overrides, switches
from greenline.channels.live.mocks import Mocks
from greenline.channels.live.voicemail_tool import Tell
from greenline.conversations.events import Started
from greenline.tools.models import Tool


@dataclass(slots=True)
class Agent:
    """A version with the overrides of this conversation, and what it knows at its start.

    ``config`` is that of the language in which the conversation is.
    """

    version: AgentVersion
    config: ConversationConfig
    override: ConfigOverride = field(repr=False)
    started: Started
    lookup: Lookup = field(repr=False)
    extra_body: Mapping[str, Any] = field(repr=False)
    tools: tuple[Tool, ...] = ()
    """Tools of the channel besides those of the agent."""
    mocks: Mocks | None = None
    greeting: str = ""
    """The first message, filled in."""
    has_client: bool = True
    """Whether a client follows the conversation, which can show something and answer."""
    met_voicemail: Tell | None = field(default=None, repr=False)
    """Told when a machine has answered, where one can."""
    client: SourceInfo = field(default_factory=SourceInfo)
    """What the client says of itself."""

    @property
    def text_only(self) -> bool:
        """Whether there is no sound in the conversation."""
        return self.started.text_only

    def switch_to(self, language: str) -> None:
        """Go on in another language."""
        agent = self.version
        allowed = switches(agent.platform_settings, self.started.source)
        self.config = apply_overrides(agent.conversation_config, self.override, allowed, switched_to=language)
