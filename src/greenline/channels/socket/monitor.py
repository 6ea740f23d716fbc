"""The monitor socket: watch a conversation while it runs, and step in (reference: Real-time monitoring).

A conversation that this process holds, on a socket or a call, is shown as it happens. Any other, held by another
process or a chat on WhatsApp, is shown by its journal, when a notification tells that it has grown: what a person
says and hears is there, the pieces of an answer that is still being written are not. Commands go through the mailbox
of the conversation and are answered when they are durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import orjson
import structlog
from starlette.websockets import WebSocket

from greenline.agents.models import VersionNotFound
from greenline.agents.service import get_version
from greenline.channels.live.held import HISTORY
from greenline.channels.live.models import LiveEvent, SessionEnded
from greenline.channels.orders import place, read_order
from greenline.channels.socket.access import SQL, Handshake
from greenline.channels.socket.errors import (
    CRASH,
    NORMAL,
    OPERATIONAL,
    ClientLeft,
    InvalidMessage,
    Refused,
    SocketClosed,
)
from greenline.channels.socket.journal_frames import JournalFrames
from greenline.channels.socket.server_messages import Frame, frames
from greenline.channels.socket.session import Sessions, Watchable
from greenline.channels.socket.traces import Traces
from greenline.channels.socket.wire import SocketConnection, Wire
from greenline.clock import Clock
from greenline.conversations.events import Ended, Entry
from greenline.conversations.journal import read_journal
from greenline.conversations.models import Conversation, ConversationNotFound
from greenline.conversations.news import JournalNews
from greenline.conversations.service import find
from greenline.errors import GreenlineError, InvalidApiKey, Unavailable
from greenline.store.outage import DATABASE_ERRORS, passes, patiently
from greenline.store.pool import Pool, Record
from greenline.workspaces.keyring import Keyring

log = structlog.get_logger(__name__)
T = TypeVar("T")

PATIENCE_SECONDS: Final = 10.0
"""How long a monitor outlasts a database that is away."""
NEVER_SHOWN: Final = frozenset({"ping", "audio", "vad_score", "internal_turn_probability"})
"""What can't be chosen in ``monitoring_events``."""
UNKNOWN_OUTCOME: Final = (
    "The database can't be reached at this moment. Look whether the command is carried out, then try again."
)
JSON: Final = "json"
TRACES: Final = "opentelemetry"


@dataclass(frozen=True, slots=True)
class Watched:
    """A conversation under observation. ``events`` are those that the agent shows; empty for all that can be."""

    conversation: Conversation
    workspace_id: str
    events: frozenset[str]

    def shows(self, frame: Frame) -> bool:
        """Whether the agent's settings let a frame through."""
        kind = frame["type"]
        return kind not in NEVER_SHOWN and (not self.events or kind in self.events)


class DatabaseGone(SocketClosed):
    """Nothing can be read of the conversation."""

    def __init__(self) -> None:
        super().__init__(OPERATIONAL, "http_exception", "The database can't be reached. Connect again in a moment.")


class Monitors:
    """Serves monitor sockets."""

    def __init__(
        self, pool: Pool, keyring: Keyring, clock: Clock, sessions: Sessions, news: JournalNews, *, max_bytes: int
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._clock = clock
        self._sessions = sessions
        self._news = news
        self._max_bytes = max_bytes

    async def serve(self, websocket: WebSocket, conversation_id: str) -> None:
        """One monitor, until it leaves or the conversation is over."""
        handshake = Handshake(websocket.headers, websocket.query_params, websocket.scope["subprotocols"])
        await websocket.accept(handshake.protocol)
        wire = Wire(SocketConnection(websocket), max_bytes=self._max_bytes)
        closed: SocketClosed | None = None
        try:
            watched = await _patiently(lambda: self._admit(handshake, conversation_id))
            await self._show(wire, watched, handshake.query.get("events_format", JSON))
        except SocketClosed as error:
            closed = error
        except ClientLeft:
            return
        except Exception:  # the boundary of one monitor
            log.exception("monitor.failed", conversation_id=conversation_id)
            closed = SocketClosed(CRASH, "unknown_websocket_crash", "The server met an unexpected error.")
        reason = closed.reason if closed else "The conversation has ended."
        await wire.close(closed, code=closed.code if closed else NORMAL, reason=reason)

    async def _admit(self, handshake: Handshake, conversation_id: str) -> Watched:
        key = handshake.api_key or handshake.bearer
        if key is None:
            raise Refused("The monitor needs an API key: send xi-api-key with the handshake.")
        if "\0" in conversation_id:
            raise Refused("The address holds a NUL character.")
        if handshake.query.get("events_format", JSON) not in (JSON, TRACES):
            raise Refused("events_format is json or opentelemetry.")
        try:
            workspace = await self._keyring.authenticate(key)
            conversation = await find(self._pool, workspace.id, conversation_id)
            version = await get_version(self._pool, workspace.id, conversation.version_id)
        except (InvalidApiKey, ConversationNotFound, VersionNotFound) as error:
            raise Refused(error.message) from None
        if conversation.status not in ("initiated", "in-progress"):
            raise Refused("The conversation has ended: read it by GET /v1/convai/conversations/{id}.")
        settings = version.conversation_config.conversation
        if not settings.monitoring_enabled:
            raise Refused("Monitoring is off for this agent: set conversation.monitoring_enabled.")
        return Watched(conversation, workspace.id, frozenset(settings.monitoring_events))

    async def _show(self, wire: Wire, watched: Watched, events_format: str) -> None:
        """Tell and obey. Returns when the conversation is over."""
        tasks = {
            asyncio.create_task(wire.send_all()),
            asyncio.create_task(self._tell(wire, watched, events_format)),
            asyncio.create_task(self._obey(wire, watched)),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, wire: Wire, watched: Watched, events_format: str) -> None:
        conversation = watched.conversation
        traces = Traces(conversation.id, conversation.agent_id) if events_format == TRACES else None
        view = View(wire, watched, traces)
        view.put({"type": "connected", "conversation_id": conversation.id})
        held = self._sessions.held(conversation.id)
        if held is not None:
            await self._follow(held, view)
        else:
            await self._read(watched, view)

    async def _follow(self, held: Watchable, view: View) -> None:
        """A conversation that this process holds, as it happens."""
        over = asyncio.Event()

        def tell(event: LiveEvent) -> None:
            for frame in frames(event):
                view.show(frame, self._clock.now())
            if isinstance(event, SessionEnded):
                over.set()

        for at, event in held.recent():
            for frame in frames(event):
                view.show(frame, at)
        view.put({"type": "history_complete"})
        unsubscribe = held.subscribe(tell)
        try:
            await over.wait()
        finally:
            unsubscribe()

    async def _read(self, watched: Watched, view: View) -> None:
        """A conversation that another process holds, or nobody, by its journal."""
        told, key = JournalFrames(), (watched.workspace_id, watched.conversation.id)
        async with self._news.of(*key) as news:
            rows = await _patiently(lambda: self._pool.fetch(SQL["last_events"], *key, HISTORY))
            last = rows[0]["seq"] if rows else 0
            over = _show(view, told, read_journal(reversed(rows)))
            view.put({"type": "history_complete"})
            while not over:
                await news.wait()
                news.clear()
                rows = await self._after(key, last)
                over = not rows and await self._is_gone(key)
                while rows:
                    last = rows[-1]["seq"]
                    over = _show(view, told, read_journal(rows)) or over
                    rows = await self._after(key, last)

    async def _after(self, key: tuple[str, str], last: int) -> list[Record]:
        return await _patiently(lambda: self._pool.fetch(SQL["events_after"], *key, last))

    async def _is_gone(self, key: tuple[str, str]) -> bool:
        try:
            await _patiently(lambda: find(self._pool, *key))
        except ConversationNotFound:
            return True
        return False

    async def _obey(self, wire: Wire, watched: Watched) -> None:
        while True:
            text = await wire.receive_text()
            wire.outgoing.put(await self._command(watched, text))

    async def _command(self, watched: Watched, text: str) -> Frame:
        """The answer to a command: a bad one is told, and ends nothing."""
        try:
            command = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise InvalidMessage(f"The message is not JSON: {error.msg}.") from None
        if not isinstance(command, dict):
            raise InvalidMessage("The message is not a JSON object.")
        kind = command.get("command_type")
        try:
            order = read_order(kind, command.get("parameters"))
            await place(self._pool, self._clock, watched.workspace_id, watched.conversation.id, order)
        except GreenlineError as error:
            return _answer(kind, "refused", {"code": error.code, "message": error.message})
        except DATABASE_ERRORS as error:
            if not passes(error):
                raise
            log.warning("monitor.order_unknown", conversation_id=watched.conversation.id, error=str(error))
            return _answer(kind, "refused", {"code": Unavailable.code, "message": UNKNOWN_OUTCOME})
        return _answer(kind, "accepted", None)


class View:
    """What one monitor sees."""

    def __init__(self, wire: Wire, watched: Watched, traces: Traces | None) -> None:
        self._wire = wire
        self._watched = watched
        self._traces = traces

    def put(self, frame: Frame) -> None:
        """A frame of the monitor itself."""
        self._wire.outgoing.put(frame)

    def show(self, frame: Frame, at: datetime) -> None:
        """A frame of the conversation, in the format that was asked for, if the agent shows it."""
        if self._watched.shows(frame):
            self._wire.outgoing.put(self._traces.batch(frame, at) if self._traces else frame)


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """What the database has. Raises `DatabaseGone` when it has been away for `PATIENCE_SECONDS`."""
    try:
        return await patiently(work, PATIENCE_SECONDS)
    except DATABASE_ERRORS as error:
        if not passes(error):
            raise
        raise DatabaseGone from error


def _show(view: View, told: JournalFrames, entries: Sequence[Entry]) -> bool:
    """Show what the entries tell; whether they end the conversation."""
    for entry in entries:
        for frame in told(entry):
            view.show(frame, entry.at)
    return any(isinstance(entry.event, Ended) for entry in entries)


def _answer(command_type: Any, status: str, error: dict[str, str] | None) -> Frame:
    named = command_type if isinstance(command_type, str) else None
    result: dict[str, Any] = {"command_type": named, "status": status}
    return {"type": "command_result", "command_result": {**result, "error": error} if error else result}
