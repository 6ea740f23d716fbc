"""Where live conversations come from, and what becomes of those whose process died."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

import structlog

from greenline.agents.config import ConversationConfig
from greenline.agents.initiation import InitiationData
from greenline.agents.lookup import Lookup, environment_variables, seal_secrets
from greenline.agents.models import AgentVersion
from greenline.agents.overrides import apply_overrides, check_start
from greenline.agents.variables import check_supplied, render, render_prompt, shown
from greenline.channels.live.agent import Agent
from greenline.channels.live.files import Files
from greenline.channels.live.held import Held
from greenline.channels.live.journal import JournalUnwritten, JournalWriter, LiveJournal, sql
from greenline.channels.live.means import Means
from greenline.channels.live.mocks import Mocks
from greenline.channels.live.models import CODE_CRASH, AudioOut
from greenline.channels.live.patterns import Patterns
from greenline.channels.live.recorder import Recorder
from greenline.channels.live.recordings import Recordings
from greenline.channels.live.session import LiveSession
from greenline.channels.live.voicemail_tool import Tell
from greenline.channels.whatsapp.chat import to_projection
from greenline.clock import Clock
from greenline.conversations.beginning import known_from_start
from greenline.conversations.events import Ended, Event, Remembered, Resumed, Started
from greenline.conversations.projection import Projection
from greenline.engine.system_variables import at_pick_up, at_start
from greenline.errors import Unavailable
from greenline.ids import new_id
from greenline.llm.models import LanguageModels
from greenline.settings import Settings
from greenline.speech.models import Speech
from greenline.store.mailbox import Claim, Mailboxes
from greenline.store.objects import Objects
from greenline.store.outage import DATABASE_ERRORS, patiently
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.store.wakeups import Wakeups
from greenline.store.worker import Worker
from greenline.tools.mcp.toolbox import Mcp
from greenline.tools.models import Tool

log = structlog.get_logger(__name__)

KIND: Final = "live"
ABANDONED: Final = "The server that held the conversation stopped"
PATIENCE_OF_LEASE: Final = 0.6
"""How long the journal waits for the database: a lease is renewed every third of it, so that two thirds are left."""

Out: TypeAlias = Callable[[ConversationConfig], AudioOut]
Memory: TypeAlias = tuple[str | None, tuple[Remembered, ...]]
"""The summary of the thread so far, and its last messages."""


async def no_memory() -> Memory:
    """The memory of a conversation that belongs to no thread."""
    return None, ()


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known when a live conversation begins. ``data`` is its start data, checked against the agent here.

    A conversation that is there already, such as that of a call of the business, is ``projection`` with ``events``,
    and goes on when the person picks up. ``recall`` is asked for what is known of the thread at that moment.
    """

    version: AgentVersion
    workspace_id: str
    source: str
    method: str
    data: InitiationData = field(default_factory=InitiationData, repr=False)
    environment: str = "production"
    conversation_id: str | None = None
    direction: str | None = None
    user_id: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    text_only: bool | None = None
    recall: Callable[[], Awaitable[Memory]] = field(default=no_memory, repr=False)
    tools: tuple[Tool, ...] = ()
    has_client: bool = True
    """Whether a client follows it, which can show something and answer: a telephone can't."""
    met_voicemail: Tell | None = field(default=None, repr=False)
    """Told when a machine has answered, where one can: the agent has a tool for that then."""
    chat_id: str | None = None
    phone_number_id: str | None = None
    queued_seconds: float | None = None
    """How long the person waited for it in a queue."""
    notes: tuple[Event, ...] = ()
    """What happened before it began, as its journal is to tell."""
    projection: Projection | None = None
    events: tuple[Event, ...] = ()


class DatabaseAway(Unavailable):
    """No conversation can begin, since none can be kept: the database is away. Try again in a moment."""


class LiveSessions:
    """The live conversations of this process, as one part of the server."""

    def __init__(
        self,
        *,
        pool: Pool,
        wakeups: Wakeups,
        vault: Vault,
        models: LanguageModels,
        mcp: Mcp,
        speech: Speech,
        objects: Objects,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._pool = pool
        self._mcp = mcp
        self._vault = vault
        self._models = models
        self._speech = speech
        self._clock = clock
        self._settings = settings
        self._patterns = Patterns()
        self.held = Held(clock)
        self._mailboxes = Mailboxes(pool, lease_seconds=settings.lease_seconds)
        self._writer = JournalWriter(pool, clock, patience=settings.lease_seconds * PATIENCE_OF_LEASE)
        self._objects = objects
        self._recordings = Recordings(pool, objects, clock, settings.data_dir)
        self._worker = Worker(
            self._mailboxes,
            wakeups,
            clock,
            kind=KIND,
            owner=secrets.token_hex(8),
            handler=self._abandoned,
            give_up=self._give_up,
            room=10_000,
        )

    def start(self) -> None:
        """Begin to look after conversations whose process died."""
        self._worker.start()
        self._recordings.start()

    async def stop(self, seconds: float) -> None:
        """Wait ``seconds`` for conversations to end, then cut them."""
        deadline = asyncio.get_running_loop().time() + seconds
        await self._worker.stop(seconds)
        await self._recordings.stop(max(0.0, deadline - asyncio.get_running_loop().time()))

    def state(self) -> dict[str, bool]:
        """Whether it works, for `/readyz`."""
        return {"live": self._worker.running, **self._recordings.state()}

    async def check(self, beginning: Beginning) -> None:
        """Whether a conversation could begin so. Raises what `begin` raises for start data."""
        unasked = replace(beginning, recall=no_memory)
        await self._agent(unasked, beginning.conversation_id or "", self._clock.now())

    async def begin(self, beginning: Beginning, out: Out | None = None) -> LiveSession:
        """A session that is ready to run, its beginning durable.

        Raises `greenline.agents.overrides.OverrideNotAllowed`, `greenline.agents.variables.MissingVariables` and
        other refusals of start data; `greenline.store.mailbox.LeaseLost` where there is one of its id; `DatabaseAway`
        when the database has been away for as long as appends have patience.
        """
        now = self._clock.now()
        conversation_id = beginning.conversation_id or new_id("conv")
        try:
            agent, opening = await patiently(
                lambda: self._agent(beginning, conversation_id, now), self._writer.patience
            )
            claim, journal = await self._hold(beginning, agent, opening, conversation_id, now)
        except (*DATABASE_ERRORS, JournalUnwritten) as error:
            raise DatabaseAway from error
        voice = out(agent.config) if out is not None and not agent.text_only else None
        means = Means(
            agent=agent,
            models=self._models,
            mcp=self._mcp,
            speech=self._speech,
            out=voice,
            files=Files(self._pool, self._objects, beginning.workspace_id, conversation_id),
            clock=self._clock,
            settings=self._settings,
        )
        session = LiveSession(
            means=means,
            journal=journal,
            claim=claim,
            mailboxes=self._mailboxes,
            holder=self._worker,
            recorder=self._recorder(beginning, conversation_id) if voice is not None else None,
        )
        self.held.add(session)
        return session

    async def _hold(
        self, beginning: Beginning, agent: Agent, opening: Started | Resumed, conversation_id: str, now: datetime
    ) -> tuple[Claim, LiveJournal]:
        """The conversation in this process's hands, and its journal, in which its beginning is durable."""
        projection = beginning.projection or _projection(beginning, agent, conversation_id, now)
        claim = await self._worker.hold(
            f"{KIND}:{conversation_id}", beginning.workspace_id, patience=self._writer.patience
        )
        journal = LiveJournal(self._writer, self._clock, claim, projection, beginning.events)
        journal.record(opening, *beginning.notes)
        try:
            await journal.flush()
        except BaseException:  # the boundary of a beginning: undone, and raised
            self._worker.let_go(claim)
            raise
        return claim, journal

    def _recorder(self, beginning: Beginning, conversation_id: str) -> Recorder | None:
        privacy = beginning.version.platform_settings.privacy
        return self._recordings.begin(beginning.workspace_id, conversation_id, privacy)

    async def _agent(
        self, beginning: Beginning, conversation_id: str, now: datetime
    ) -> tuple[Agent, Started | Resumed]:
        """Who speaks, and the event with which the conversation begins or goes on."""
        version, data = beginning.version, beginning.data
        overrides = version.platform_settings.overrides
        check_start(data, overrides, version.conversation_config)
        config = apply_overrides(version.conversation_config, data.conversation_config_override, overrides)
        check_supplied(config, data.dynamic_variables)
        opening = await self._opening(beginning, config, conversation_id, now)
        started = known_from_start((*beginning.events, opening))
        assert started is not None  # noqa: S101 - it opens with one, unless there is one already
        # What it lacks now nothing can bring later: no turn would ever come to an answer.
        render_prompt(config, started.variables)
        lookup = Lookup(
            pool=self._pool,
            vault=self._vault,
            workspace_id=beginning.workspace_id,
            conversation_id=conversation_id,
            variables=started.variables,
            sealed=started.sealed_variables,
            environment=started.environment,
        )
        agent = Agent(
            version,
            config,
            data.conversation_config_override,
            started,
            lookup,
            data.custom_llm_extra_body,
            beginning.tools,
            Mocks(data.tool_mock_config, self._patterns) if data.tool_mock_config else None,
            render(config.agent.first_message, started.variables).strip(),
            beginning.has_client,
            beginning.met_voicemail,
        )
        return agent, opening

    async def _opening(
        self, beginning: Beginning, config: ConversationConfig, conversation_id: str, now: datetime
    ) -> Started | Resumed:
        version, data = beginning.version, beginning.data
        summary, remembered = await beginning.recall()
        begun = known_from_start(beginning.events)
        if begun is not None:
            return Resumed(variables=at_pick_up(begun.variables, now), summary=summary, remembered=remembered)
        environment = await environment_variables(
            self._pool, self._vault, beginning.workspace_id, beginning.environment, config
        )
        text_only = config.conversation.text_only if beginning.text_only is None else beginning.text_only
        return Started(
            agent_id=version.agent_id,
            branch_id=version.branch_id,
            version_id=version.id,
            environment=beginning.environment,
            source=beginning.source,
            direction=beginning.direction,
            text_only=text_only,
            queued_seconds=beginning.queued_seconds,
            user_id=beginning.user_id or data.user_id,
            variables={
                **shown(data.dynamic_variables),
                **environment,
                **at_start(version, config, conversation_id=conversation_id, text_only=text_only, now=now),
                **beginning.variables,
            },
            sealed_variables=seal_secrets(self._vault, conversation_id, data.dynamic_variables),
            override=data.conversation_config_override.model_dump(mode="json", exclude_unset=True),
            summary=summary,
            remembered=remembered,
        )

    async def _abandoned(self, claim: Claim) -> None:
        """A conversation whose lease ran out: its process died, and the socket or the call with it."""
        conversation_id = claim.mailbox_id.removeprefix(f"{KIND}:")
        row = await self._pool.fetchval(sql["conversation"], claim.workspace_id, conversation_id)
        projection = to_projection(row) if row is not None else None
        if projection is None or not projection.is_open:
            await self._mailboxes.release(claim, self._clock.now())
            return
        log.warning("live.abandoned", conversation_id=conversation_id)
        journal = LiveJournal(self._writer, self._clock, claim, projection)
        for item in claim.items:
            journal.obeyed(item.id)
        error = {"code": CODE_CRASH, "reason": ABANDONED}
        await journal.close(Ended(reason=ABANDONED, status="failed", error=error))

    async def _give_up(self, claim: Claim, error: BaseException) -> None:
        await self._mailboxes.release(claim, self._clock.now())


def _projection(beginning: Beginning, agent: Agent, conversation_id: str, now: datetime) -> Projection:
    version = beginning.version
    return Projection(
        id=conversation_id,
        workspace_id=beginning.workspace_id,
        agent_id=version.agent_id,
        branch_id=version.branch_id,
        version_id=version.id,
        source=beginning.source,
        started_at=now,
        accepted_at=now,
        text_only=agent.text_only,
        environment=beginning.environment,
        direction=beginning.direction,
        user_id=agent.started.user_id,
        chat_id=beginning.chat_id,
        phone_number_id=beginning.phone_number_id,
        authorization_method=beginning.method,
        initiation=beginning.data.stored(),
        main_language=agent.config.agent.language,
        status="in-progress",
    )
