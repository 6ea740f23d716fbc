"""The monitor socket: watch a conversation while it runs, and step in (reference: Real-time monitoring).

It reads the journal, so that any process shows any conversation: one on a socket or a call, wherever it is held, and
one by WhatsApp text. What a person says and hears is there; the pieces of an answer that is still being written are
not. Commands go through the mailbox of the conversation and are answered when they are durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from starlette.websockets import WebSocket

from greenline.agents.models import VersionNotFound
from greenline.agents.service import get_version
from greenline.channels.orders import place, read_order
from greenline.channels.socket.access import SQL, Handshake
from greenline.channels.socket.errors import CRASH, NORMAL, ClientLeft, InvalidMessage, Refused, SocketClosed
from greenline.channels.socket.journal_frames import JournalFrames
from greenline.channels.socket.server_messages import Frame
from greenline.channels.socket.traces import Traces
from greenline.channels.socket.wire import SocketConnection, Wire
from greenline.clock import Clock
from greenline.conversations.events import Ended, Entry
from greenline.conversations.journal import read_journal
from greenline.conversations.models import Conversation, ConversationNotFound
from greenline.conversations.service import find
from greenline.errors import GreenlineError, InvalidApiKey
from greenline.store.pool import Pool
from greenline.workspaces.keyring import Keyring

log = structlog.get_logger(__name__)

HISTORY: Final = 100
"""Past events that a monitor is told of (reference: about the last 100)."""
LOOK_SECONDS: Final = 0.25
"""How often the journal is asked for news: a monitor is for people."""
NEVER_SHOWN: Final = frozenset({"ping", "audio", "vad_score", "internal_turn_probability"})
"""What can't be chosen in ``monitoring_events``."""
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


class Monitors:
    """Serves monitor sockets."""

    def __init__(self, pool: Pool, keyring: Keyring, clock: Clock, *, max_bytes: int) -> None:
        self._pool = pool
        self._keyring = keyring
        self._clock = clock
        self._max_bytes = max_bytes

    async def serve(self, websocket: WebSocket, conversation_id: str) -> None:
        """One monitor, until it leaves or the conversation is over."""
        handshake = Handshake(websocket.headers, websocket.query_params, websocket.scope["subprotocols"])
        await websocket.accept(handshake.protocol)
        wire = Wire(SocketConnection(websocket), max_bytes=self._max_bytes)
        closed: SocketClosed | None = None
        try:
            watched = await self._admit(handshake, conversation_id)
            await self._show(wire, watched, handshake.query.get("events_format", JSON))
        except SocketClosed as error:
            closed = error
        except ClientLeft:
            return
        except Exception:
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
        told = JournalFrames()
        key = (watched.workspace_id, conversation.id)
        wire.outgoing.put({"type": "connected", "conversation_id": conversation.id})
        rows = await self._pool.fetch(SQL["last_events"], *key, HISTORY)
        last = rows[0]["seq"] if rows else 0
        over = _put(wire, watched, told, traces, read_journal(reversed(rows)))
        wire.outgoing.put({"type": "history_complete"})
        while not over:
            await asyncio.sleep(LOOK_SECONDS)
            rows = await self._pool.fetch(SQL["events_after"], *key, last)
            last = rows[-1]["seq"] if rows else last
            over = _put(wire, watched, told, traces, read_journal(rows))

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
        return _answer(kind, "accepted", None)


def _put(wire: Wire, watched: Watched, told: JournalFrames, traces: Traces | None, entries: Sequence[Entry]) -> bool:
    """Queue what the entries tell; whether they end the conversation."""
    for entry in entries:
        shown: Iterable[Frame] = filter(watched.shows, told(entry))
        for frame in shown:
            wire.outgoing.put(traces.batch(frame, entry.at) if traces else frame)
    return any(isinstance(entry.event, Ended) for entry in entries)


def _answer(command_type: Any, status: str, error: dict[str, str] | None) -> Frame:
    named = command_type if isinstance(command_type, str) else None
    result: dict[str, Any] = {"command_type": named, "status": status}
    return {"type": "command_result", "command_result": {**result, "error": error} if error else result}
