"""Rooms as one part of the server: invitations, who waits for whom, and how conversations in rooms end.

The agent joins when a token is made, since the first message of a client goes to whoever is in the room at that
moment. Until the person comes this costs a connection to the LiveKit server and nothing else: no conversation, no
track, no model. How long and how often the server waits is bounded by settings.
"""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, cast

import structlog

from greenline.channels.livekit.errors import INSTEAD, NoRooms, TooManyRooms
from greenline.channels.livekit.medium import RoomMedium
from greenline.channels.livekit.tokens import Signer
from greenline.channels.socket.hosting import GOODBYE_SECONDS, Arrival, Host
from greenline.channels.socket.wire import Wire
from greenline.clock import Clock
from greenline.errors import Unavailable
from greenline.ids import new_id
from greenline.settings import Settings

if TYPE_CHECKING:
    from greenline.channels.livekit.room import AgentRoom

log = structlog.get_logger(__name__)

AGENT: Final = "agent"
"""Clients know the agent by the beginning of its identity (reference: WebRTC token)."""
PERSON: Final = "user"
INSTALL: Final = "pip install 'greenline[livekit]'"


@dataclass(frozen=True, slots=True)
class Server:
    """The LiveKit server of the settings."""

    url: str
    signer: Signer


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a person needs to join: the room bears the id of the conversation."""

    token: str = field(repr=False)
    conversation_id: str


class Rooms:
    """Invites people into rooms in which the agent waits for them. ``host`` holds the conversations."""

    def __init__(self, *, host: Host, clock: Clock, settings: Settings) -> None:
        self._host = host
        self._clock = clock
        self._settings = settings
        self._patience = timedelta(seconds=settings.livekit_wait_seconds)
        self._waiting: set[asyncio.Task[None]] = set()
        self._attending: set[asyncio.Task[None]] = set()
        self._joining = 0
        self._draining = False

    def start(self) -> None:
        """Invite people."""
        self._draining = False

    async def stop(self, seconds: float) -> None:
        """Invite nobody any more and wait for nobody; the host ends the conversations."""
        self._draining = True
        for task in self._waiting:
            task.cancel()
        if self._attending:
            await asyncio.wait(self._attending, timeout=seconds + GOODBYE_SECONDS)

    def state(self) -> dict[str, bool]:
        """Whether people are invited, for `/readyz`."""
        return {"rooms": not self._draining}

    async def invite(self, arrival: Arrival, name: str = "") -> Invitation:
        """A room with the agent in it, and a token for the person, who is shown as ``name``.

        Raises `NoRooms`, `TooManyRooms`, `RoomUnreachable`, and `greenline.errors.Unavailable` during a drain.
        """
        server = _server(self._settings)
        self._check_room()
        self._joining += 1
        try:
            conversation_id, person = new_id("conv"), new_id(PERSON)
            room = await _enter(server, conversation_id, person, self._clock, self._patience)
            now = self._clock.now()
            if self._draining:
                await room.leave()
                raise Unavailable
        finally:
            self._joining -= 1
        admission = replace(arrival.admission, method="livekit_token", conversation_id=conversation_id)
        self._attend(room, replace(arrival, admission=admission), until=now + self._patience)
        token = server.signer.token(person, conversation_id, now=now, life=self._patience, name=name)
        return Invitation(token, conversation_id)

    def _check_room(self) -> None:
        if self._draining:
            raise Unavailable
        if len(self._waiting) + self._joining >= self._settings.livekit_waiting_rooms:
            raise TooManyRooms

    def _attend(self, room: AgentRoom, arrival: Arrival, until: datetime) -> None:
        task = asyncio.create_task(self._meet(room, arrival, until))
        self._attending.add(task)
        self._waiting.add(task)
        task.add_done_callback(self._attending.discard)
        task.add_done_callback(self._waiting.discard)

    async def _meet(self, room: AgentRoom, arrival: Arrival, until: datetime) -> None:
        conversation_id = arrival.admission.conversation_id
        try:
            if not await self._came(room, until):
                log.info("livekit.nobody_came", conversation_id=conversation_id)
                return
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine runs in a task
            self._waiting.discard(task)
            await self._serve(room, arrival)
        except Exception:  # the boundary of one room
            log.exception("livekit.failed", conversation_id=conversation_id)
        finally:
            await room.leave()

    async def _came(self, room: AgentRoom, until: datetime) -> bool:
        """Wait for the person, for as long as their token is good and the room is there."""
        waiting = [
            asyncio.create_task(room.person_came.wait()),
            asyncio.create_task(room.over.wait()),
            asyncio.create_task(self._clock.sleep_until(until)),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return room.person_came.is_set()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _serve(self, room: AgentRoom, arrival: Arrival) -> None:
        track = await room.speaker()
        try:
            wire = Wire(room, max_bytes=self._settings.socket_message_max_bytes)

            async def arrive() -> Arrival:
                return arrival

            await self._host.serve(wire, RoomMedium(room, track, wire.outgoing), arrive)
        finally:
            await track.aclose()


async def try_room(settings: Settings, clock: Clock) -> str:
    """Join a room and leave it again; returns the URL of the server. Raises `NoRooms` or `RoomUnreachable`."""
    server = _server(settings)
    room = await _enter(server, new_id("conv"), new_id(PERSON), clock, timedelta(minutes=1))
    await room.leave()
    return server.url


async def _enter(server: Server, conversation_id: str, person: str, clock: Clock, life: timedelta) -> AgentRoom:
    room = (await asyncio.to_thread(_agent_room))(person, clock)
    token = server.signer.token(new_id(AGENT), conversation_id, now=clock.now(), life=life, is_agent=True)
    try:
        await room.join(server.url, token)
    except BaseException:  # the boundary of a join: undone, and raised
        await room.leave()
        raise
    return room


def _agent_room() -> type[AgentRoom]:
    """The class that holds LiveKit's SDK, an extra of 30 MB that takes a quarter of a second to import."""
    try:
        module = importlib.import_module("greenline.channels.livekit.room")
    except ModuleNotFoundError as error:
        raise NoRooms(f"WebRTC needs LiveKit's SDK, which is not installed: {INSTALL}. {INSTEAD}") from error
    return cast("type[AgentRoom]", module.AgentRoom)


def _server(settings: Settings) -> Server:
    url, key, secret = settings.livekit_url, settings.livekit_api_key, settings.livekit_api_secret
    if url and key and secret:
        return Server(url, Signer(key, secret))
    given = {"URL": url, "API_KEY": key, "API_SECRET": secret}
    missing = ", ".join(f"GREENLINE_LIVEKIT_{name}" for name, value in given.items() if not value)
    raise NoRooms(f"WebRTC needs a LiveKit server: set {missing}. {INSTEAD}")
