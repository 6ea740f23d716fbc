"""Live sessions in one process: real Postgres and journal, a scripted model, scripted speech, an ear that listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from greenline.agents import service as agents
from greenline.agents.config import ConversationConfig
from greenline.agents.config.platform_settings import PlatformSettings
from greenline.agents.initiation import InitiationData
from greenline.agents.models import AgentDefinition
from greenline.channels.live.beginning import Beginning
from greenline.channels.live.models import AudioOut, LiveEvent, SessionEnded
from greenline.channels.live.session import LiveSession
from greenline.channels.live.sessions import LiveSessions
from greenline.clock import ManualClock
from greenline.conversations.events import Event, load_event
from greenline.conversations.journal import read_journal
from greenline.conversations.transcript import Surroundings, transcript
from greenline.conversations.transcript_models import AgentMetadata, Turn
from greenline.llm.models import LanguageModels
from greenline.settings import Settings
from greenline.speech.models import Alignment, Speech
from greenline.store.mailbox import LeaseLost
from greenline.store.objects import FolderObjects
from greenline.store.pool import Pool
from greenline.store.vault import open_vault
from greenline.store.wakeups import Wakeups
from greenline.tools.mcp.toolbox import Mcp
from support.channel import ScriptedModel
from support.no_speech import NoSpeech
from support.rows import WORKSPACE, insert_workspace
from support.wait import until

E = TypeVar("E")


@dataclass
class Room:
    """Where the agent's voice goes. Nothing is played until the test says so: ``played`` seconds of it."""

    rate: int = 16_000
    written: list[tuple[int, bytes]] = field(default_factory=list)
    played: float = 0.0
    at_once: bool = True

    @property
    def seconds(self) -> float:
        """All that was written."""
        return sum(len(pcm) for _, pcm in self.written) / 2 / self.rate

    @property
    def queued(self) -> float:
        """What is left to play; nothing where everything is played at once."""
        return 0.0 if self.at_once else max(0.0, self.seconds - self.played)

    def write(self, pcm: bytes, event_id: int, alignment: Alignment | None = None) -> None:
        """Keep it."""
        self.written.append((event_id, pcm))

    def once_sounding(self, tell: Callable[[], None]) -> None:
        """At once: it plays what is written."""
        tell()

    def when_held_up(self, tell: Callable[[float], None]) -> None:
        """It never is."""

    def clear(self) -> float:
        """What was not played."""
        left = self.queued
        self.played = self.seconds
        return left


@dataclass
class Stage:
    """Running live sessions with one agent."""

    pool: Pool
    clock: ManualClock
    model: ScriptedModel
    live: LiveSessions
    agent_id: str
    tasks: list[asyncio.Task[SessionEnded]] = field(default_factory=list)

    async def begin(self, room: AudioOut | None = None, **data: Any) -> tuple[LiveSession, list[LiveEvent]]:
        """A session that runs, and what its listener is told."""
        return await self.begin_with(await self.beginning(text_only=room is None, **data), room)

    async def beginning(self, *, text_only: bool = True, **data: Any) -> Beginning:
        """What is known of a session that is to begin with the start data ``data``."""
        return Beginning(
            version=await agents.live_version(self.pool, WORKSPACE, self.agent_id),
            workspace_id=WORKSPACE,
            source="test",
            method="public",
            data=InitiationData.model_validate(data),
            text_only=text_only,
        )

    async def begin_with(
        self, beginning: Beginning, room: AudioOut | None = None
    ) -> tuple[LiveSession, list[LiveEvent]]:
        """A session that runs, and what its listener is told."""
        session = await self.live.begin(beginning, (lambda config: room) if room is not None else None)
        told: list[LiveEvent] = []
        session.subscribe(told.append)
        self.tasks.append(asyncio.create_task(session.run()))
        return session, told

    async def journal(self, session: LiveSession) -> list[Event]:
        """What is durable of a conversation, once everything that has happened is written."""
        with contextlib.suppress(LeaseLost):
            await session._conversation._journal.flush()
        rows = await self.pool.fetch(
            "select kind, data from conversation_event where conversation_id = $1 order by seq",
            session.conversation_id,
        )
        return [load_event(row["kind"], row["data"]) for row in rows]

    async def transcript(self, session: LiveSession) -> list[Turn]:
        """What is durable of a conversation, as clients read it."""
        await self.journal(session)
        rows = await self.pool.fetch(
            "select seq, at, kind, data from conversation_event where conversation_id = $1 order by seq",
            session.conversation_id,
        )
        return transcript(read_journal(rows), Surroundings(self.clock.now(), AgentMetadata(agent_id=self.agent_id)))

    async def row(self, session: LiveSession) -> dict[str, Any]:
        """The conversation's row."""
        row = await self.pool.fetchrow("select * from conversation where id = $1", session.conversation_id)
        assert row is not None
        return dict(row)


Opens: TypeAlias = Callable[..., AbstractAsyncContextManager[Stage]]
"""Opens a stage for an agent with the given configuration."""


async def told_of(told: list[LiveEvent], kind: type[E], count: int = 1) -> list[E]:
    """The events of a kind, when there are ``count``."""

    async def enough() -> list[E]:
        found: list[E] = [event for event in told if isinstance(event, kind)]
        return found if len(found) >= count else []

    return await until(enough)


EVENTS: Final = [*ConversationConfig().conversation.client_events, "client_tool_call"]


@contextlib.asynccontextmanager
async def stage(
    pool: Pool,
    dsn: str,
    clock: ManualClock,
    settings: Settings,
    config: dict[str, Any] | None = None,
    *,
    platform: dict[str, Any] | None = None,
    speech: Speech | None = None,
    models: LanguageModels | None = None,
) -> AsyncIterator[Stage]:
    """Live sessions of an agent with ``config``, until the block ends. ``models`` answer in place of the script.

    Unless it says otherwise, its client is told of calls of its tools.
    """
    config = {**(config or {})}
    config["conversation"] = {"client_events": EVENTS, **config.get("conversation", {})}
    await insert_workspace(pool, clock.now())
    definition = AgentDefinition(
        conversation_config=ConversationConfig.model_validate(config),
        platform_settings=PlatformSettings.model_validate(platform or {}),
    )
    agent_id = await agents.create(pool, clock, WORKSPACE, definition)
    wakeups, model = Wakeups(dsn), ScriptedModel()
    await wakeups.start()
    mcp = Mcp(pool, clock, settings)
    live = LiveSessions(
        pool=pool,
        wakeups=wakeups,
        vault=open_vault(settings),
        models=models or model,
        mcp=mcp,
        speech=speech or NoSpeech(),
        objects=FolderObjects(settings.data_dir),
        clock=clock,
        settings=settings,
    )
    live.start()
    set_up = Stage(pool, clock, model, live, agent_id)
    try:
        yield set_up
    finally:
        await live.stop(0.0)
        await asyncio.gather(*set_up.tasks, return_exceptions=True)
        await wakeups.aclose()
        await mcp.aclose()
