"""What a live conversation is held with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from greenline.agents.config import ConversationConfig
from greenline.agents.speech import voice_of, voices_of
from greenline.channels.live.agent import Agent
from greenline.channels.live.files import Files
from greenline.channels.live.models import AudioOut
from greenline.clock import Clock
from greenline.llm.models import LanguageModels
from greenline.settings import Settings
from greenline.speech.models import Speech, Voice
from greenline.speech.usage import SpeechUsage
from greenline.tools.mcp.toolbox import Mcp


@dataclass(frozen=True, slots=True)
class Means:
    """Its agent, and all that this one needs to hear, think and speak. ``now`` counts seconds, as the loop does."""

    agent: Agent
    models: LanguageModels
    mcp: Mcp = field(repr=False)
    speech: Speech
    out: AudioOut | None
    files: Files = field(repr=False)
    clock: Clock
    settings: Settings
    now: Callable[[], float] = time.monotonic
    usage: SpeechUsage = field(default_factory=SpeechUsage)
    """What was heard and spoken, for its price."""

    @property
    def config(self) -> ConversationConfig:
        """The agent's, in the language in which the conversation is."""
        return self.agent.config

    def moment(self, at: float) -> datetime:
        """When ``now`` counted ``at`` seconds."""
        return self.clock.now() - timedelta(seconds=self.now() - at)

    def voices(self) -> tuple[Voice, dict[str, Voice]]:
        """The agent's own voice, and its others by their labels."""
        own, others = voice_of(self.config), voices_of(self.config)
        return replace(own, usage=self.usage), {
            label: replace(voice, usage=self.usage) for label, voice in others.items()
        }
