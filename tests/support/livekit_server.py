"""A LiveKit server as far as a room of two needs it: tokens, signalling, sound and data, on loopback.

It speaks the wire of servers before single peer connections (protocol 15, ``/rtc``), which every client still falls
back to: each participant has a connection on which it publishes and one on which it hears the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.contrib.media import MediaRelay
from aiortc.sdp import candidate_from_sdp
from jwt.exceptions import PyJWTError
from livekit.api import TokenVerifier
from livekit.api.access_token import Claims
from livekit.protocol import models, rtc
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

RELIABLE = "_reliable"
LOSSY = "_lossy"


def _connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


def _description(sdp: str, kind: str) -> RTCSessionDescription:
    """Without the names that browsers hide their addresses behind: the client's checks tell where it is."""
    lines = [line for line in sdp.splitlines() if not (line.startswith("a=candidate:") and ".local " in line)]
    return RTCSessionDescription("\r\n".join(lines) + "\r\n", kind)


@dataclass(eq=False)
class Participant:
    """Who is in a room, with both of their connections."""

    socket: ServerConnection
    room: Room
    claims: Claims
    sid: str
    hears: RTCPeerConnection = field(default_factory=_connection)
    speaks: RTCPeerConnection = field(default_factory=_connection)
    tracks: dict[str, models.TrackInfo] = field(default_factory=dict)
    """By the client's id of the track."""
    media: dict[str, MediaStreamTrack] = field(default_factory=dict)
    channels: dict[str, RTCDataChannel] = field(default_factory=dict)
    negotiating: bool = False
    stale: bool = False

    @property
    def identity(self) -> str:
        return self.claims.identity

    def info(self, state: Any = models.ParticipantInfo.ACTIVE, reason: Any = 0) -> models.ParticipantInfo:
        """As the others are told of them."""
        video = self.claims.video
        assert video is not None
        return models.ParticipantInfo(
            sid=self.sid,
            identity=self.identity,
            name=self.claims.name,
            state=state,
            is_publisher=bool(self.media),
            kind=models.ParticipantInfo.AGENT if self.claims.kind == "agent" else models.ParticipantInfo.STANDARD,
            tracks=[info for cid, info in self.tracks.items() if cid in self.media],
            disconnect_reason=reason,
            permission=models.ParticipantPermission(
                can_publish=video.can_publish,
                can_subscribe=video.can_subscribe,
                can_publish_data=video.can_publish_data,
            ),
        )

    async def tell(self, **message: Any) -> None:
        """A message of the server; nobody listens to it once they have gone."""
        with contextlib.suppress(ConnectionClosed):
            await self.socket.send(rtc.SignalResponse(**message).SerializeToString())

    async def negotiate(self) -> None:
        """Offer what there is to hear; one offer at a time."""
        if self.negotiating:
            self.stale = True
            return
        self.negotiating = True
        await self.hears.setLocalDescription(await self.hears.createOffer())
        described = self.hears.localDescription
        await self.tell(offer=rtc.SessionDescription(type="offer", sdp=described.sdp))

    async def answered(self, sdp: str) -> None:
        """The client has answered the offer."""
        await self.hears.setRemoteDescription(_description(sdp, "answer"))
        self.negotiating = False
        if self.stale:
            self.stale = False
            await self.negotiate()

    async def hear(self, other: Participant, cid: str, relay: MediaRelay) -> None:
        """Send them a track of somebody else."""
        info = other.tracks[cid]
        sender = self.hears.addTrack(relay.subscribe(other.media[cid]))
        # Clients learn by the stream whose track it is.
        sender._stream_id = f"{other.sid}|{info.sid}"
        sender._track_id = info.sid
        await self.negotiate()


@dataclass(eq=False)
class Room:
    """Participants that see and hear each other."""

    name: str
    sid: str
    participants: dict[str, Participant] = field(default_factory=dict)
    untold: dict[str, models.ParticipantInfo] = field(default_factory=dict)
    """The last state of people who publish nothing, by their identity: told with the next batch."""

    def others(self, participant: Participant) -> list[Participant]:
        return [other for other in self.participants.values() if other is not participant]

    def info(self) -> models.Room:
        return models.Room(sid=self.sid, name=self.name, num_participants=len(self.participants))

    async def tell_others(self, participant: Participant, **state: Any) -> None:
        """At once of who publishes, and of who comes in their own place; of others with the batch."""
        info = participant.info(**state)
        earlier = self.untold.pop(info.identity, None)
        if info.is_publisher or (earlier is not None and earlier.sid != info.sid):
            await self._update([info])
        else:
            self.untold[info.identity] = info

    async def tell_batch(self) -> None:
        news = list(self.untold.values())
        self.untold.clear()
        await self._update(news)

    async def _update(self, news: list[models.ParticipantInfo]) -> None:
        """Who was replaced by themselves has not gone."""
        news = [info for info in news if info.disconnect_reason != models.DUPLICATE_IDENTITY]
        for participant in list(self.participants.values()):
            told = [info for info in news if info.identity != participant.identity]
            if told:
                await participant.tell(update=rtc.ParticipantUpdate(participants=told))


class LiveKitServer:
    """``rooms`` are those with somebody in them; ``joined`` holds the claims of everybody who was ever let in."""

    def __init__(self, key: str, secret: str) -> None:
        self.key = key
        self.secret = secret
        self.url = ""
        self.rooms: dict[str, Room] = {}
        self.joined: list[Claims] = []
        self.answers = asyncio.Event()
        """Cleared, it lets clients wait at the door."""
        self.answers.set()
        self.delayed: list[tuple[Participant, str, bytes]] | None = None
        """Once it is a list, it holds the messages of agents, which are on their way until `deliver`."""
        self.batch_seconds = 0.1
        """How often a room tells of people who publish nothing; a real server does every 3 seconds."""
        self._verifier = TokenVerifier(key, secret)
        self._claims: WeakKeyDictionary[ServerConnection, Claims] = WeakKeyDictionary()
        """Of those who were let in, from their request on."""
        self._relay = MediaRelay()
        self._numbers: Iterator[int] = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    # The way in

    async def gate(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse what is no room, and who has no token for one."""
        await self.answers.wait()
        url = urlsplit(request.path)
        if url.path not in ("/rtc", "/rtc/validate"):
            return self._respond(HTTPStatus.NOT_FOUND, "not found")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = token or parse_qs(url.query).get("access_token", [""])[0]
        try:
            claims = self._verifier.verify(token)
        except PyJWTError as error:
            return self._respond(HTTPStatus.UNAUTHORIZED, f"invalid token: {error}")
        video = claims.video
        if video is None or not video.room_join or not video.room or not claims.identity:
            return self._respond(HTTPStatus.UNAUTHORIZED, "permissions denied")
        if url.path == "/rtc/validate":
            return self._respond(HTTPStatus.OK, "success")
        self._claims[connection] = claims
        return None

    @staticmethod
    def _respond(status: HTTPStatus, text: str) -> Response:
        headers = Headers({"Access-Control-Allow-Origin": "*", "Content-Length": str(len(text.encode()))})
        return Response(status, status.phrase, headers, text.encode())

    async def serve(self, socket: ServerConnection) -> None:
        """One participant, until they leave."""
        claims = self._claims[socket]
        self.joined.append(claims)
        assert claims.video is not None
        name = claims.video.room
        if name not in self.rooms:
            self.rooms[name] = Room(name, f"RM_{next(self._numbers)}")
            self._spawn(self._tell_batches(self.rooms[name]))
        room = self.rooms[name]
        if claims.identity in room.participants:
            await self.remove(room.participants[claims.identity], models.DUPLICATE_IDENTITY)
            room = self.rooms.setdefault(name, room)
        participant = Participant(socket, room, claims, f"PA_{next(self._numbers)}")
        room.participants[participant.identity] = participant
        reason: Any = models.SIGNAL_CLOSE
        try:
            await self._welcome(participant)
            async for message in socket:
                assert isinstance(message, bytes)
                request = rtc.SignalRequest.FromString(message)
                if request.WhichOneof("message") == "leave":
                    reason = models.CLIENT_INITIATED
                    break
                await self._handle(participant, request)
        finally:
            await self.remove(participant, reason)

    async def _tell_batches(self, room: Room) -> None:
        while self.rooms.get(room.name) is room:
            await asyncio.sleep(self.batch_seconds)
            await room.tell_batch()

    async def remove(self, participant: Participant, reason: Any = models.PARTICIPANT_REMOVED) -> None:
        """Take somebody out of their room."""
        room = participant.room
        if room.participants.get(participant.identity) is not participant:
            return
        del room.participants[participant.identity]
        if not room.participants:
            self.rooms.pop(room.name, None)
        await room.tell_others(participant, state=models.ParticipantInfo.DISCONNECTED, reason=reason)
        await participant.tell(leave=rtc.LeaveRequest(reason=reason, action=rtc.LeaveRequest.DISCONNECT))
        await participant.socket.close()
        await participant.hears.close()
        await participant.speaks.close()

    async def lose(self, participant: Participant) -> None:
        """Their network breaks: nobody has said goodbye."""
        await self.remove(participant, models.SIGNAL_CLOSE)

    async def delete(self, name: str) -> None:
        """End a room."""
        for participant in list(self.rooms[name].participants.values()):
            await self.remove(participant, models.ROOM_DELETED)

    async def aclose(self) -> None:
        """End all rooms."""
        for name in list(self.rooms):
            await self.delete(name)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Signalling

    async def _welcome(self, participant: Participant) -> None:
        room = participant.room
        self._listen(participant)
        hears = participant.hears
        participant.channels[RELIABLE] = hears.createDataChannel(RELIABLE)
        participant.channels[LOSSY] = hears.createDataChannel(LOSSY, ordered=False, maxRetransmits=0)
        await participant.tell(
            join=rtc.JoinResponse(
                room=room.info(),
                participant=participant.info(models.ParticipantInfo.JOINED),
                other_participants=[other.info() for other in room.others(participant)],
                server_version="1.8.4",
                server_info=models.ServerInfo(version="1.8.4", protocol=15),
                subscriber_primary=True,
                ping_timeout=15,
                ping_interval=5,
            )
        )
        await room.tell_others(participant)
        await participant.negotiate()
        for other in room.others(participant):
            for cid in other.media:
                await participant.hear(other, cid, self._relay)

    async def _handle(self, participant: Participant, request: rtc.SignalRequest) -> None:
        match request.WhichOneof("message"):
            case "offer":
                await participant.speaks.setRemoteDescription(_description(request.offer.sdp, "offer"))
                await participant.speaks.setLocalDescription(await participant.speaks.createAnswer())
                described = participant.speaks.localDescription
                await participant.tell(
                    answer=rtc.SessionDescription(type="answer", sdp=described.sdp, id=request.offer.id)
                )
            case "answer":
                await participant.answered(request.answer.sdp)
            case "trickle":
                await self._candidate(participant, request.trickle)
            case "add_track":
                await self._announce(participant, request.add_track)
            case "ping":
                await participant.tell(pong=request.ping)
            case "ping_req":
                await participant.tell(pong_resp=rtc.Pong(last_ping_timestamp=request.ping_req.timestamp))

    async def _candidate(self, participant: Participant, trickle: rtc.TrickleRequest) -> None:
        described = json.loads(trickle.candidateInit) if trickle.candidateInit else {}
        text = described.get("candidate", "").removeprefix("candidate:")
        if not text or " tcp " in text.lower() or ".local " in text:
            return
        candidate = candidate_from_sdp(text)
        candidate.sdpMid = described.get("sdpMid")
        candidate.sdpMLineIndex = described.get("sdpMLineIndex")
        connection = participant.speaks if trickle.target == rtc.PUBLISHER else participant.hears
        if connection.remoteDescription is not None:  # else the client's checks tell where it is
            await connection.addIceCandidate(candidate)

    async def _announce(self, participant: Participant, request: rtc.AddTrackRequest) -> None:
        info = models.TrackInfo(
            sid=f"TR_{next(self._numbers)}",
            type=request.type,
            name=request.name,
            muted=request.muted,
            source=request.source,
            mime_type="audio/opus",
        )
        participant.tracks[request.cid] = info
        await participant.tell(track_published=rtc.TrackPublishedResponse(cid=request.cid, track=info))

    # Media

    def _listen(self, participant: Participant) -> None:
        def heard(track: MediaStreamTrack) -> None:
            cid = track.id if track.id in participant.tracks else next(iter(participant.tracks))
            participant.media[cid] = track
            self._spawn(self._share(participant, cid))

        def opened(channel: RTCDataChannel) -> None:
            channel.on("message", lambda message: self._came(participant, channel.label, message))

        participant.speaks.on("track", heard)
        participant.speaks.on("datachannel", opened)

    async def _share(self, participant: Participant, cid: str) -> None:
        await participant.room.tell_others(participant)
        for other in participant.room.others(participant):
            await other.hear(participant, cid, self._relay)

    def deliver(self) -> None:
        """What was on its way arrives."""
        delayed, self.delayed = self.delayed or [], None
        for participant, label, message in delayed:
            self._forward(participant, label, message)

    def _came(self, participant: Participant, label: str, message: bytes) -> None:
        if self.delayed is not None and participant.identity.startswith("agent"):
            self.delayed.append((participant, label, message))
        else:
            self._forward(participant, label, message)

    def _forward(self, participant: Participant, label: str, message: bytes) -> None:
        """Of who has left nothing is heard any more."""
        if participant.room.participants.get(participant.identity) is not participant:
            return
        packet = models.DataPacket.FromString(message)
        packet.participant_identity = participant.identity
        packet.participant_sid = participant.sid
        if packet.WhichOneof("value") == "user":
            packet.user.participant_identity = participant.identity
            packet.user.participant_sid = participant.sid
        for other in participant.room.others(participant):
            if other.channels[label].readyState == "open":
                other.channels[label].send(packet.SerializeToString())

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@contextlib.asynccontextmanager
async def livekit_server() -> AsyncIterator[LiveKitServer]:
    """A server on a free port of loopback."""
    server = LiveKitServer("devkey", "a-secret-of-thirty-two-letters-or")
    async with serve(server.serve, "127.0.0.1", 0, process_request=server.gate, compression=None) as listening:
        server.url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        try:
            yield server
        finally:
            await server.aclose()
