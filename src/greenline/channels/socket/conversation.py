"""A conversation over the agent socket, once its client was let in (reference: Order at start, Ending)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from greenline.channels.live.models import LiveEvent, SessionEnded, TakenOver, UserTranscript
from greenline.channels.socket.client_messages import AudioChunk, ClientMessage, MultimodalMessage
from greenline.channels.socket.dispatch import Dispatch
from greenline.channels.socket.errors import CRASH, ClientLeft, Silent, SocketClosed, UnknownFiles
from greenline.channels.socket.incoming import Incoming
from greenline.channels.socket.limits import Limits
from greenline.channels.socket.medium import Medium
from greenline.channels.socket.pings import PING_SECONDS, Pings
from greenline.channels.socket.server_messages import Filter, error, frames
from greenline.channels.socket.session import Session
from greenline.channels.socket.turns import Turns
from greenline.channels.socket.wire import Wire
from greenline.clock import Clock

CLIENT_LEFT: Final = "Client disconnected"


class SocketConversation:
    """A session and its client; `run` lasts until one of them ends it."""

    def __init__(
        self,
        wire: Wire,
        session: Session,
        *,
        shown: Filter,
        dispatch: Dispatch,
        limits: Limits,
        turns: Turns,
        pings: Pings,
        clock: Clock,
        idle_seconds: float,
        medium: Medium,
        written: Sequence[ClientMessage] = (),
    ) -> None:
        """``written`` is what the client has sent already, while it waited."""
        self._wire = wire
        self._session = session
        self._shown = shown
        self._dispatch = dispatch
        self._limits = limits
        self._turns = turns
        self._incoming = Incoming(wire, limits)
        self._pings = pings
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._medium = medium
        self._written = written
        self._heard_at = clock.now()
        self._human_speaks = False
        self._leave: asyncio.Future[SocketClosed] = asyncio.get_running_loop().create_future()

    @property
    def conversation_id(self) -> str:
        """Its id."""
        return self._session.conversation_id

    def leave(self, why: SocketClosed) -> None:
        """End the conversation from outside."""
        if not self._leave.done():
            self._leave.set_result(why)

    async def run(self) -> SessionEnded:
        """Why the session ended. Raises `SocketClosed` for what the client or the server did to it.

        Raises `ClientLeft` when the client has gone. The session has ended in any case.
        """
        unsubscribe = self._session.subscribe(self._tell)
        session = asyncio.create_task(self._session.run())
        work = (
            self._wire.send_all(),
            self._incoming.read(),
            self._listen(),
            self._medium.listen(self._hear),
            self._ping(),
            self._watch_silence(),
            self._wait_for_leave(),
        )
        tasks = [asyncio.create_task(task) for task in work]
        try:
            await asyncio.wait({session, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            if not session.done():
                await self._cut(tasks, session)
            return await session
        finally:
            unsubscribe()
            for task in (session, *tasks):
                task.cancel()
            await asyncio.gather(session, *tasks, return_exceptions=True)

    async def _cut(self, tasks: list[asyncio.Task[None]], session: asyncio.Task[SessionEnded]) -> None:
        """End the session for what one of the tasks met, and raise that."""
        try:
            for task in tasks:
                if task.done():
                    task.result()
        except ClientLeft:
            self._session.end(CLIENT_LEFT)
            raise
        except SocketClosed as closed:
            self._session.end(closed.reason, error_type=closed.error_type, code=closed.code)
            raise
        except Exception:  # ends the session, and is recorded at the boundary of the client
            self._session.end("The server met an unexpected error.", code=CRASH, error_type="unknown_websocket_crash")
            raise
        finally:
            await session

    def _tell(self, event: LiveEvent) -> None:
        if isinstance(event, TakenOver):
            self._human_speaks = event.by_human
            self._heard_at = self._clock.now()
        if isinstance(event, UserTranscript) and event.medium == "text":
            return  # reference, Typical orders: the client is not told again what it has sent
        for frame in frames(event):
            if frame["type"] in self._shown:
                self._wire.outgoing.put(frame)

    async def _listen(self) -> None:
        for message in self._written:
            self._dispatch(message)
        async for message in self._incoming.messages():
            if isinstance(message, AudioChunk):
                await self._listen_to(message)
                continue
            if isinstance(message, MultimodalMessage):
                message = await self._with_known_files(message)
            if self._dispatch(message):
                self._heard_at = self._clock.now()
            await asyncio.sleep(0)  # others come between two messages

    async def _listen_to(self, sound: AudioChunk) -> None:
        for piece, ahead in self._limits.pieces(sound):
            async with self._turns.take(ahead=ahead):
                self._dispatch(piece)
            self._heard_at = self._clock.now()

    async def _with_known_files(self, message: MultimodalMessage) -> MultimodalMessage:
        """The message as far as its files are known; the client is told of the others."""
        unknown = await self._session.unknown_files(message.file_ids)
        if not unknown:
            return message
        self._wire.outgoing.put(error(UnknownFiles(unknown)))
        return message.without(unknown)

    def _hear(self, pcm: bytes) -> None:
        self._heard_at = self._clock.now()
        self._session.hear(pcm)

    async def _ping(self) -> None:
        while True:
            if "ping" in self._shown:
                self._wire.outgoing.put(self._pings.next())
            await self._clock.sleep(PING_SECONDS)

    async def _watch_silence(self) -> None:
        """A client that sends nothing of its person for too long is gone, unless its person waits for an answer."""
        if not self._idle_seconds:
            await asyncio.Event().wait()
        limit = timedelta(seconds=self._idle_seconds)
        while True:
            deadline = self._heard_at + limit
            await self._clock.sleep_until(deadline)
            if self._human_speaks or self._session.answering:
                self._heard_at = self._clock.now()
            elif self._heard_at + limit <= self._clock.now():
                raise Silent(self._idle_seconds)

    async def _wait_for_leave(self) -> None:
        raise await self._leave
