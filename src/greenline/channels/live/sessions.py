"""The live conversations of a process: how they come into its hands, and what becomes of those whose process died."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeAlias, TypeVar

import structlog

from greenline.agents.config import ConversationConfig
from greenline.channels.live.agent import Agent
from greenline.channels.live.beginning import Beginning, Preparation, new_projection, no_memory
from greenline.channels.live.files import Files
from greenline.channels.live.held import Held
from greenline.channels.live.journal import JournalUnwritten, JournalWriter, LiveJournal, sql
from greenline.channels.live.means import Means
from greenline.channels.live.models import CODE_CRASH, AudioOut
from greenline.channels.live.recorder import Recorder
from greenline.channels.live.recordings import Recordings
from greenline.channels.live.session import LiveSession
from greenline.channels.orders import TOO_LATE
from greenline.clock import Clock
from greenline.conversations.events import Ended, Resumed, Started
from greenline.conversations.models import ConversationNotFound
from greenline.conversations.projection import Projection, read_projection
from greenline.errors import Unavailable
from greenline.ids import new_id
from greenline.llm.models import LanguageModels
from greenline.settings import Settings
from greenline.speech.models import Speech
from greenline.store.mailbox import Claim, LeaseLost, Mailboxes
from greenline.store.objects import Objects
from greenline.store.outage import DATABASE_ERRORS, passes, patiently
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.store.wakeups import Wakeups
from greenline.store.worker import PATIENCE_OF_LEASE, Worker
from greenline.tools.mcp.toolbox import Mcp

log = structlog.get_logger(__name__)

KIND: Final = "live"
ABANDONED: Final = "The server that held the conversation stopped"

Out: TypeAlias = Callable[[ConversationConfig], AudioOut]
T = TypeVar("T")


class DatabaseAway(Unavailable):
    """No conversation can begin, since none can be kept: the database is away. Try again in a moment."""


async def unless_away(work: Callable[[], Awaitable[T]], seconds: float) -> T:
    """The answer of ``work``, which is repeated while the database is away and must not mind that.

    Raises `DatabaseAway` when it has been away for ``seconds``.
    """
    try:
        return await patiently(work, seconds)
    except DATABASE_ERRORS as error:
        if not passes(error):
            raise
        raise DatabaseAway from error


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
        self._preparation = Preparation(pool, vault)
        self._models = models
        self._speech = speech
        self._clock = clock
        self._settings = settings
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
            handler=self._due,
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

    @property
    def patience(self) -> float:
        """Seconds for which a beginning waits for a database that is away."""
        return self._writer.patience

    async def check(self, beginning: Beginning) -> None:
        """Whether a conversation could begin so. Raises what `begin` raises for start data."""
        unasked = replace(beginning, recall=no_memory)
        await self._preparation.agent(unasked, beginning.conversation_id or "", self._clock.now())

    async def begin(self, beginning: Beginning, out: Out | None = None) -> LiveSession:
        """A session that is ready to run, its beginning durable.

        Raises `greenline.agents.overrides.OverrideNotAllowed`, `greenline.agents.variables.MissingVariables` and
        other refusals of start data; `greenline.store.mailbox.LeaseLost` where there is one of its id;
        `greenline.conversations.models.ConversationNotFound` where one that goes on was deleted; `DatabaseAway` when
        the database has been away for as long as appends have patience.
        """
        agent, claim, journal = await self._take_in_hand(beginning)
        try:
            session = self._session(beginning, agent, claim, journal, out)
        except BaseException:  # the boundary of a beginning: its lease runs out, and it is ended as failed
            self._worker.let_go(claim)
            raise
        self.held.add(session)
        return session

    async def turn_away(self, beginning: Beginning, code: int, reason: str) -> None:
        """Keep a conversation that ended before somebody could serve it. Raises as `begin` does."""
        _, claim, journal = await self._take_in_hand(beginning, served=False)
        claim.returning = True
        try:
            await journal.close(Ended(reason=reason, status="failed", error={"code": code, "reason": reason}))
        except JournalUnwritten as error:
            raise DatabaseAway from error
        finally:
            self._worker.let_go(claim)

    async def _take_in_hand(self, beginning: Beginning, *, served: bool = True) -> tuple[Agent, Claim, LiveJournal]:
        now = self._clock.now()
        conversation_id = beginning.conversation_id or new_id("conv")
        try:
            agent, opening = await patiently(
                lambda: self._preparation.agent(beginning, conversation_id, now), self._writer.patience
            )
            projection = beginning.projection or new_projection(beginning, agent, conversation_id, now)
            if not served:
                projection = replace(projection, accepted_at=None)
            claim, journal = await self._hold(beginning, projection, opening)
        except (*DATABASE_ERRORS, JournalUnwritten) as error:
            raise DatabaseAway from error
        return agent, claim, journal

    def _session(
        self, beginning: Beginning, agent: Agent, claim: Claim, journal: LiveJournal, out: Out | None
    ) -> LiveSession:
        conversation_id = journal.conversation.id
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
        return LiveSession(
            means=means,
            journal=journal,
            claim=claim,
            mailboxes=self._mailboxes,
            holder=self._worker,
            recorder=self._recorder(beginning, conversation_id) if voice is not None else None,
        )

    async def _hold(
        self, beginning: Beginning, projection: Projection, opening: Started | Resumed
    ) -> tuple[Claim, LiveJournal]:
        """The conversation in this process's hands, and its journal, in which its beginning is durable."""
        claim = await self._worker.hold(
            f"{KIND}:{projection.id}", beginning.workspace_id, patience=self._writer.patience
        )
        journal = LiveJournal(self._writer, self._clock, claim, projection, beginning.events)
        try:
            if beginning.conversation_id is not None:
                await self._check_free(claim, projection, goes_on=beginning.projection is not None)
            journal.record(opening, *beginning.notes)
            await journal.flush()
        except BaseException:  # the boundary of a beginning: undone, and raised
            self._worker.let_go(claim)
            raise
        return claim, journal

    async def _check_free(self, claim: Claim, begun: Projection, *, goes_on: bool) -> None:
        """That one that goes on is there and open, and a new one is new: the mailbox of one that is over is gone.

        It is held by now: a deletion takes it away from us from here on, and nobody else can begin it.
        """
        key = begun.workspace_id, begun.id
        row = await patiently(lambda: self._pool.fetchrow(sql["conversation"], *key), self._writer.patience)
        if row is None and goes_on:
            raise ConversationNotFound("The conversation was deleted before anybody picked up.")
        if row is not None and not (goes_on and read_projection(row["conversation"]).is_open):
            raise LeaseLost(claim.mailbox_id)

    def _recorder(self, beginning: Beginning, conversation_id: str) -> Recorder | None:
        privacy = beginning.version.platform_settings.privacy
        return self._recordings.begin(beginning.workspace_id, conversation_id, privacy)

    async def _due(self, claim: Claim) -> None:
        """One whose lease ran out, as its process died, and the socket or the call with it; or one that is over."""
        conversation_id = claim.mailbox_id.removeprefix(f"{KIND}:")
        row = await self._pool.fetchrow(sql["conversation"], claim.workspace_id, conversation_id)
        if row is None or not (projection := read_projection(row["conversation"])).is_open:
            await self._leave(claim)
            return
        log.warning("live.abandoned", conversation_id=conversation_id)
        journal = LiveJournal(self._writer, self._clock, claim, projection)
        for item in claim.items:
            journal.obeyed(item.id)
        error = {"code": CODE_CRASH, "reason": ABANDONED}
        # Nobody knows when it broke off: it lasted at least until the last that was written down.
        await journal.close(Ended(reason=ABANDONED, status="failed", error=error), at=row["last_at"])
        await self._recordings.take_up(claim.workspace_id, conversation_id)

    async def _leave(self, claim: Claim) -> None:
        """Nobody needs the mailbox of a conversation that is over."""
        claim.returning = True
        key, now = (claim.workspace_id, claim.mailbox_id, claim.epoch, claim.arrivals), self._clock.now()
        if not await self._pool.fetchval(sql["leave"], *key, now, TOO_LATE):
            await self._mailboxes.release(claim, now)

    async def _give_up(self, claim: Claim, error: BaseException) -> None:
        await self._mailboxes.release(claim, self._clock.now())
