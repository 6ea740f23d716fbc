"""The sockets of this process as one part of the server: who is connected, and how they leave."""

from __future__ import annotations

from starlette.websockets import WebSocket

from greenline.channels.socket.access import Gate
from greenline.channels.socket.monitor import Monitors
from greenline.clock import Clock
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.workspaces.keyring import Keyring


class Sockets:
    """Serves the agent socket and the monitor."""

    def __init__(self, *, pool: Pool, keyring: Keyring, vault: Vault, clock: Clock, settings: Settings) -> None:
        self._gate = Gate(pool, keyring, vault, clock)
        self._monitors = Monitors(pool, keyring, clock, max_bytes=settings.socket_message_max_bytes)

    async def monitor(self, websocket: WebSocket, conversation_id: str) -> None:
        """Serve a monitor of a conversation."""
        await self._monitors.serve(websocket, conversation_id)
