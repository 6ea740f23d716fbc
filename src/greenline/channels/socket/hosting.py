"""The conversations of clients that speak the socket's messages, over whatever carries them, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

import structlog
from pydantic import ValidationError

from greenline.agents.models import AgentVersion
from greenline.channels.live.models import SessionEnded
from greenline.channels.socket.access import Admission
from greenline.channels.socket.client_messages import ClientMessage, ContextualUpdate, UserMessage
from greenline.channels.socket.conversation import SocketConversation
from greenline.channels.socket.dispatch import Dispatch
from greenline.channels.socket.errors import CRASH, ClientLeft, Restarting, SocketClosed
from greenline.channels.socket.hold import HoldSounds
from greenline.channels.socket.limits import Limits
from greenline.channels.socket.medium import Formats, Medium
from greenline.channels.socket.pings import Pings
from greenline.channels.socket.queueing import Queue
from greenline.channels.socket.refusals import bad_start, refusal
from greenline.channels.socket.server_messages import Filter, Frame, asr_metadata, metadata
from greenline.channels.socket.session import Session, Sessions, Start
from greenline.channels.socket.turns import Turns
from greenline.channels.socket.wire import Wire
from greenline.clock import Clock
from greenline.errors import GreenlineError, where
from greenline.ids import new_id
from greenline.settings import Settings
from greenline.store.objects import Objects
from greenline.store.pool import Pool
from greenline.store.worker import PATIENCE_OF_LEASE

log = structlog.get_logger(__name__)

GOODBYE_SECONDS: Final = 3.0
"""Time that a conversation which is cut at the end of a drain has to write its end and tell its client."""
LEFT_QUEUE: Final = "The client left while it waited for a busy agent"
GOING_AWAY: Final = 1001
"""RFC 6455, 7.4.1: for who leaves before they were served."""
MAX_VERSION: Final = 50
"""Characters that are kept of what a client says of its version."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A client that was let in, and what it says of itself."""

    admission: Admission
    source: str | None = None
    version: str | None = None


Arrive: TypeAlias = Callable[[], Awaitable[Arrival]]


class Host:
    """Holds the conversations of this process, and the queues before its agents."""

    def __init__(self, *, pool: Pool, objects: Objects, clock: Clock, settings: Settings, sessions: Sessions) -> None:
        self._draining = asyncio.Event()
        self._cut = False
        self._queue = Queue(pool, clock, self._draining, patience=settings.lease_seconds * PATIENCE_OF_LEASE)
        self._hold_sounds = HoldSounds(objects)
        self._turns = Turns()
        self._sessions = sessions
        self._clock = clock
        self._settings = settings
        self._running: set[SocketConversation] = set()
        self._clients: set[asyncio.Task[object]] = set()

    @property
    def draining(self) -> bool:
        """Whether new clients are sent away."""
        return self._draining.is_set()

    async def stop(self, seconds: float) -> None:
        """Take no new clients, and cut the conversations that have not ended within ``seconds``.

        Who waits in a queue is sent to another server at once.
        """
        self._draining.set()
        if self._clients:
            await asyncio.wait(self._clients, timeout=seconds)
        self._cut = True
        for conversation in self._running:
            conversation.leave(Restarting())
        if self._clients:
            await asyncio.wait(self._clients, timeout=GOODBYE_SECONDS)

    async def serve(self, wire: Wire, medium: Medium, arrive: Arrive) -> None:
        """Hold a conversation until one of both ends it, and close the wire.

        ``arrive`` lets the client in, or raises `greenline.channels.socket.errors.SocketClosed` or
        `greenline.errors.GreenlineError`.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._clients.add(task)
        try:
            goodbye = await self._outcome(wire, medium, arrive)
            error = goodbye if isinstance(goodbye, SocketClosed) else None
            log.info("socket.closed", code=goodbye.code, error_type=error.error_type if error else None)
            await wire.close(error, code=goodbye.code, reason=goodbye.reason)
        except ClientLeft:
            log.info("socket.left")
        finally:
            self._clients.discard(task)

    async def _outcome(self, wire: Wire, medium: Medium, arrive: Arrive) -> SessionEnded | SocketClosed:
        sees_faults = False

        async def arrived() -> Arrival:
            nonlocal sees_faults
            with _refusals():
                arrival = await arrive()
            sees_faults = arrival.admission.sees_faults
            return arrival

        try:
            goodbye = await self._converse(wire, medium, arrived)
        except SocketClosed as closed:
            return closed
        except ClientLeft:
            raise
        except Exception as error:  # the boundary of one client
            log.exception("socket.failed")
            goodbye = SessionEnded(
                CRASH, "The server met an unexpected error.", "unknown_websocket_crash", where(error)
            )
        if goodbye.error_type is None:
            return goodbye
        failure = SocketClosed(goodbye.code, goodbye.error_type, goodbye.reason)
        failure.debug = goodbye.debug if sees_faults else None
        return failure

    async def _converse(self, wire: Wire, medium: Medium, arrive: Arrive) -> SessionEnded:
        if self.draining:
            raise Restarting
        conversation = await self._begin(wire, medium, await arrive())
        self._running.add(conversation)
        if self._cut:
            conversation.leave(Restarting())
        try:
            with structlog.contextvars.bound_contextvars(conversation_id=conversation.conversation_id):
                log.info("socket.begun")
                return await conversation.run()
        finally:
            self._running.discard(conversation)

    async def _begin(self, wire: Wire, medium: Medium, arrival: Arrival) -> SocketConversation:
        """Begin the conversation and tell its client the first thing: the id and the formats."""
        initiation = await wire.initiation()
        admission = arrival.admission
        name = admission.conversation_id or new_id("conv")
        start = Start(
            replace(admission, conversation_id=name),
            initiation.data,
            arrival.source,
            (arrival.version or "")[:MAX_VERSION],
        )
        config = admission.version.conversation_config
        limits = Limits(medium.formats(config).input.bytes_per_second, time.monotonic)
        announced_at: datetime | None = None
        written: list[ClientMessage] = []

        def keep(message: ClientMessage) -> None:
            """Words wait with their client; nobody hears it yet."""
            limits.check(message)
            if isinstance(message, UserMessage | ContextualUpdate):
                written.append(message)

        def announce() -> None:
            nonlocal announced_at
            announced_at = self._clock.now()
            wire.outgoing.put(_metadata(name, medium.formats(config)))

        place = self._queue.place(
            wire,
            admission.version,
            admission.workspace_id,
            text_only=_gets_text(admission.version, initiation.data),
            check=lambda: self._check(start),
            announce=announce,
            hold=lambda: self._hold(medium, admission),
            keep=keep,
        )
        async with contextlib.AsyncExitStack() as stack:
            try:
                with _refusals():
                    start = replace(start, queued_seconds=await stack.enter_async_context(place))
            except (SocketClosed, ClientLeft) as why:
                if announced_at is not None and not (isinstance(why, Restarting) and admission.conversation_id):
                    await self._turn_away(start, announced_at, why)
                raise
            if self.draining:
                raise Restarting
            session = await self._start(start, medium)
        if announced_at is None:
            announce()
        return self._conversation(wire, medium, session, limits, written)

    async def _turn_away(self, start: Start, since: datetime, why: SocketClosed | ClientLeft) -> None:
        """Keep the conversation of who left the queue, or waited in vain: they know its id."""
        waited = (self._clock.now() - since).total_seconds()
        code, reason = (why.code, why.reason) if isinstance(why, SocketClosed) else (GOING_AWAY, LEFT_QUEUE)
        try:
            await self._sessions.turn_away(replace(start, queued_seconds=waited), code, reason)
        except (GreenlineError, SocketClosed, ValidationError) as error:  # a start that would have been refused
            log.warning("socket.not_kept", conversation_id=start.admission.conversation_id, error=str(error))

    async def _hold(self, medium: Medium, admission: Admission) -> None:
        """Let who waits hear that the line is not dead, until cancelled."""
        version = admission.version
        voice = medium.voice(version.conversation_config)
        recording = version.platform_settings.queueing_config.hold_audio
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(medium.play())
                tasks.create_task(self._hold_sounds.play(voice, admission.workspace_id, recording))
        finally:
            voice.clear()

    async def _check(self, start: Start) -> None:
        with _refusals():
            await self._sessions.check(start)

    async def _start(self, start: Start, medium: Medium) -> Session:
        with _refusals():
            return await self._sessions.start(start, medium.voice)

    def _conversation(
        self, wire: Wire, medium: Medium, session: Session, limits: Limits, written: Sequence[ClientMessage]
    ) -> SocketConversation:
        config = session.config
        shown = Filter(config.conversation.client_events, text_only=session.text_only)
        if "asr_initiation_metadata" in shown and not session.text_only:
            wire.outgoing.put(asr_metadata(config.asr.provider))
        pings = Pings(time.monotonic)
        return SocketConversation(
            wire,
            session,
            shown=shown,
            dispatch=Dispatch(session, None if session.text_only else medium.ears(config), pings),
            limits=limits,
            written=written,
            turns=self._turns,
            pings=pings,
            clock=self._clock,
            idle_seconds=self._settings.socket_idle_seconds,
            medium=medium,
        )


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Refusals of a start as the socket tells them."""
    try:
        yield
    except GreenlineError as error:
        raise refusal(error) from error
    except ValidationError as error:
        raise bad_start(error) from error


def _metadata(conversation_id: str, formats: Formats) -> Frame:
    """No override changes the formats, so that they are known before the conversation begins."""
    return metadata(conversation_id, output_format=str(formats.output), input_format=str(formats.input))


def _gets_text(version: AgentVersion, data: dict[str, Any]) -> bool:
    """Whether it is to be a conversation by text: start data may say so in either of the places where clients do."""
    own, allowed = version.conversation_config.conversation, version.platform_settings.overrides
    override = data.get("conversation_config_override")
    if not isinstance(override, dict) or not allowed.conversation_config_override.conversation.text_only:
        return own.text_only
    inner = override.get("conversation")
    chosen = inner.get("text_only") if isinstance(inner, dict) else None
    return chosen if isinstance(chosen, bool) else own.text_only or override.get("text_only") is True
