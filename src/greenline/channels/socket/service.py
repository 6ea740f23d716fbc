"""The sockets of this process as one part of the server: who connects, and how they leave."""

from __future__ import annotations

import time

from starlette.websockets import WebSocket

from greenline.channels.live.sessions import unless_away
from greenline.channels.socket.access import Gate, Handshake
from greenline.channels.socket.enclave import Enclave
from greenline.channels.socket.hosting import Arrival, Host
from greenline.channels.socket.medium import InMessages
from greenline.channels.socket.monitor import Monitors
from greenline.channels.socket.session import Sessions
from greenline.channels.socket.wire import SocketConnection, Wire
from greenline.clock import Clock
from greenline.conversations.news import JournalNews
from greenline.settings import Settings
from greenline.store.objects import Objects
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.store.wakeups import Wakeups
from greenline.store.worker import PATIENCE_OF_LEASE
from greenline.workspaces.keyring import Keyring


class Sockets:
    """Serves the agent socket and the monitor. ``host`` holds the conversations, for other transports too."""

    def __init__(
        self,
        *,
        pool: Pool,
        wakeups: Wakeups,
        keyring: Keyring,
        vault: Vault,
        objects: Objects,
        clock: Clock,
        settings: Settings,
        sessions: Sessions,
    ) -> None:
        self.gate = Gate(pool, keyring, vault, clock)
        self._patience = settings.lease_seconds * PATIENCE_OF_LEASE
        self._enclave = Enclave(pool, self.gate, clock, without_key=settings.enclave_setup, patience=self._patience)
        self.host = Host(pool=pool, objects=objects, clock=clock, settings=settings, sessions=sessions)
        news = JournalNews(pool, wakeups)
        self._monitors = Monitors(pool, keyring, clock, sessions, news, max_bytes=settings.socket_message_max_bytes)
        self._max_bytes = settings.socket_message_max_bytes

    def start(self) -> None:
        """Clients are taken from the beginning."""

    async def stop(self, seconds: float) -> None:
        """Take no new clients, and cut the conversations that have not ended within ``seconds``."""
        await self.host.stop(seconds)

    def state(self) -> dict[str, bool]:
        """Whether new clients are taken, for `/readyz`."""
        return {"sockets": not self.host.draining}

    async def monitor(self, websocket: WebSocket, conversation_id: str) -> None:
        """Serve a monitor of a conversation."""
        await self._monitors.serve(websocket, conversation_id)

    async def converse(self, websocket: WebSocket) -> None:
        """Serve the client of an agent, until one of both ends the conversation."""
        handshake = Handshake(websocket.headers, websocket.query_params, websocket.scope["subprotocols"])
        await websocket.accept(handshake.protocol)
        wire = Wire(SocketConnection(websocket), max_bytes=self._max_bytes)

        async def arrive() -> Arrival:
            if self.gate.names_agent(handshake):
                admission = await unless_away(lambda: self.gate.admit(handshake), self._patience)
            else:
                admission = await self._enclave.admit(handshake, wire)
            return Arrival(admission, handshake.query.get("source"), handshake.query.get("version"))

        await self.host.serve(wire, InMessages(wire.outgoing, time.monotonic), arrive)
