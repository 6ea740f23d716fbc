"""The sockets of this process as one part of the server: who is connected, and how they leave."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any, Final

import structlog
from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from greenline.agents.config import ConversationConfig
from greenline.agents.models import AgentVersion
from greenline.channels.live.models import SessionEnded
from greenline.channels.socket.access import Gate, Handshake
from greenline.channels.socket.conversation import SocketConversation
from greenline.channels.socket.dispatch import Dispatch
from greenline.channels.socket.ears import Ears
from greenline.channels.socket.errors import CRASH, Restarting, SocketClosed
from greenline.channels.socket.limits import Limits
from greenline.channels.socket.monitor import Monitors
from greenline.channels.socket.pings import Pings
from greenline.channels.socket.queueing import Queue
from greenline.channels.socket.refusals import bad_start, refusal
from greenline.channels.socket.server_messages import Filter, Frame, asr_metadata, metadata
from greenline.channels.socket.session import Session, Sessions, Start
from greenline.channels.socket.voice import SocketVoice
from greenline.channels.socket.wire import Wire
from greenline.clock import Clock
from greenline.errors import GreenlineError
from greenline.ids import new_id
from greenline.settings import Settings
from greenline.speech.formats import audio_format
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.workspaces.keyring import Keyring

log = structlog.get_logger(__name__)

GOODBYE_SECONDS: Final = 3.0
"""Time that a conversation which is cut at the end of a drain has to write its end and tell its client."""


class Sockets:
    """Serves the agent socket and the monitor."""

    def __init__(
        self, *, pool: Pool, keyring: Keyring, vault: Vault, clock: Clock, settings: Settings, sessions: Sessions
    ) -> None:
        self._gate = Gate(pool, keyring, vault, clock)
        self._monitors = Monitors(pool, keyring, clock, max_bytes=settings.socket_message_max_bytes)
        self._queue = Queue(pool, clock)
        self._sessions = sessions
        self._clock = clock
        self._settings = settings
        self._running: set[SocketConversation] = set()
        self._connections: set[asyncio.Task[object]] = set()
        self._draining = False

    def start(self) -> None:
        """Take clients."""
        self._draining = False

    async def stop(self, seconds: float) -> None:
        """Take no new clients, and cut the conversations that have not ended within ``seconds``."""
        self._draining = True
        if self._connections:
            await asyncio.wait(self._connections, timeout=seconds)
        for conversation in self._running:
            conversation.leave(Restarting())
        if self._connections:
            await asyncio.wait(self._connections, timeout=GOODBYE_SECONDS)

    def state(self) -> dict[str, bool]:
        """Whether new clients are taken, for `/readyz`."""
        return {"sockets": not self._draining}

    async def monitor(self, websocket: WebSocket, conversation_id: str) -> None:
        """Serve a monitor of a conversation."""
        await self._monitors.serve(websocket, conversation_id)

    async def converse(self, websocket: WebSocket) -> None:
        """Serve the client of an agent, until one of both ends the conversation."""
        handshake = Handshake(websocket.headers, websocket.query_params, websocket.scope["subprotocols"])
        await websocket.accept(handshake.protocol)
        wire = Wire(websocket, max_bytes=self._settings.socket_message_max_bytes)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._connections.add(task)
        try:
            await self._serve(wire, handshake)
        except WebSocketDisconnect:
            log.info("socket.left")
        finally:
            self._connections.discard(task)

    async def _serve(self, wire: Wire, handshake: Handshake) -> None:
        try:
            goodbye = await self._converse(wire, handshake)
        except SocketClosed as closed:
            goodbye = closed
        except WebSocketDisconnect:
            raise
        except Exception:
            log.exception("socket.failed")
            goodbye = SocketClosed(CRASH, "unknown_websocket_crash", "The server met an unexpected error.")
        if isinstance(goodbye, SessionEnded) and goodbye.error_type is not None:
            goodbye = SocketClosed(goodbye.code, goodbye.error_type, goodbye.reason)
        error = goodbye if isinstance(goodbye, SocketClosed) else None
        log.info("socket.closed", code=goodbye.code, error_type=error.error_type if error else None)
        await wire.close(error, code=goodbye.code, reason=goodbye.reason)

    async def _converse(self, wire: Wire, handshake: Handshake) -> SessionEnded | SocketClosed:
        if self._draining:
            raise Restarting
        conversation = await self._begin(wire, handshake)
        self._running.add(conversation)
        try:
            with structlog.contextvars.bound_contextvars(conversation_id=conversation.conversation_id):
                log.info("socket.begun")
                return await conversation.run()
        finally:
            self._running.discard(conversation)

    async def _begin(self, wire: Wire, handshake: Handshake) -> SocketConversation:
        """Let the client in, begin its conversation and tell it the first thing: the id and the formats."""
        admission = await self._gate.admit(handshake)
        initiation = await wire.initiation()
        name = admission.conversation_id or new_id("conv")
        start = Start(
            replace(admission, conversation_id=name),
            initiation.data,
            handshake.query.get("source"),
            (handshake.query.get("version") or "")[:50],
        )
        config = admission.version.conversation_config
        announced = False

        def announce() -> None:
            nonlocal announced
            announced = True
            wire.outgoing.put(_metadata(name, config))

        async with self._queue.place(
            wire,
            admission.version,
            admission.workspace_id,
            text_only=config.conversation.text_only or _gets_text(admission.version, initiation.data),
            announce=announce,
        ):
            session = await self._start(start, wire)
        if not announced:
            announce()
        return self._conversation(wire, session)

    async def _start(self, start: Start, wire: Wire) -> Session:
        def voice(config: ConversationConfig) -> SocketVoice:
            sounds = audio_format(config.tts.agent_output_audio_format)
            audible = "audio" in config.conversation.client_events
            return SocketVoice(
                wire.outgoing, rate=sounds.rate, encode=sounds.from_pcm, now=time.monotonic, audible=audible
            )

        try:
            return await self._sessions.start(start, voice)
        except GreenlineError as error:
            raise refusal(error, start.admission.version.conversation_config) from error
        except ValidationError as error:
            raise bad_start(error) from error

    def _conversation(self, wire: Wire, session: Session) -> SocketConversation:
        config = session.config
        shown = Filter(config.conversation.client_events, text_only=session.text_only)
        heard = audio_format(config.asr.user_input_audio_format)
        if "asr_initiation_metadata" in shown and not session.text_only:
            wire.outgoing.put(asr_metadata(config.asr.provider))
        pings = Pings(time.monotonic)
        return SocketConversation(
            wire,
            session,
            shown=shown,
            dispatch=Dispatch(session, None if session.text_only else Ears(heard), pings),
            limits=Limits(heard.bytes_per_second, time.monotonic),
            pings=pings,
            clock=self._clock,
            idle_seconds=self._settings.socket_idle_seconds,
        )


def _metadata(conversation_id: str, config: ConversationConfig) -> Frame:
    """No override changes the formats, so that they are known before the conversation begins."""
    return metadata(
        conversation_id,
        output_format=config.tts.agent_output_audio_format,
        input_format=config.asr.user_input_audio_format,
    )


def _gets_text(version: AgentVersion, data: dict[str, Any]) -> bool:
    """Whether start data makes it a conversation by text, in either of the places where clients write it."""
    override = data.get("conversation_config_override")
    if not isinstance(override, dict):
        return False
    inner = override.get("conversation")
    asks = override.get("text_only") is True or (isinstance(inner, dict) and inner.get("text_only") is True)
    return asks and version.platform_settings.overrides.conversation_config_override.conversation.text_only
