"""The protocol around a conversation: order, errors, limits, ends. What the agent does is scripted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from greenline.agents import service as agents
from greenline.agents.models import AgentChanges, AgentDefinition
from greenline.agents.overrides import OverrideNotAllowed
from greenline.agents.variables import MissingVariables
from greenline.channels.live.models import AgentResponse, Interruption, ResponsePart, SessionEnded, TakenOver
from greenline.channels.socket.hold import hold_tone
from greenline.channels.socket.hosting import LEFT_QUEUE
from greenline.channels.socket.service import Sockets
from greenline.channels.socket.signing import Signature, seal
from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, Ended
from greenline.conversations.files import file_key
from greenline.settings import Settings
from greenline.speech.wav import encode_wav
from greenline.store.objects import FolderObjects, Objects
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.store.wakeups import Wakeups
from greenline.workspaces import service as workspaces
from greenline.workspaces.keyring import Keyring
from support.journal import projection, write
from support.rows import WORKSPACE, insert_workspace
from support.scripted_session import ScriptedSession, ScriptedSessions
from support.sockets import SocketClient, client
from support.voice import tone
from support.wait import eventually, until
from support.web_server import WebServer, web_server

RECORDING: dict[str, Any] = {
    "audio_path": "hold_01m846c4w46xwwbeggda5qmmj5",
    "audio_url": "https://agents.example/hold",
    "original_filename": "tune.mp3",
    "duration_secs": 1.0,
    "size_bytes": 1000,
}


@dataclass
class Place:
    """A server of nothing but sockets, with one agent."""

    server: WebServer
    url: str
    agent_id: str
    sessions: ScriptedSessions
    sockets: Sockets
    vault: Vault
    objects: Objects
    pool: Pool
    clock: ManualClock

    @contextlib.asynccontextmanager
    async def client(self, query: str = "", **options: Any) -> AsyncIterator[SocketClient]:
        path = f"/v1/convai/conversation?agent_id={self.agent_id}{query}"
        async with client(self.url, path, **options) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def talk(self, **data: Any) -> AsyncIterator[tuple[SocketClient, ScriptedSession]]:
        """A client that has begun."""
        async with self.client() as connection:
            first = await connection.begin(**data)
            assert first["type"] == "conversation_initiation_metadata"
            await eventually(lambda: bool(self.sessions.sessions[-1]._listeners))
            yield connection, self.sessions.sessions[-1]

    async def change_agent(self, **platform: Any) -> None:
        """Change the settings around the agent."""
        changes = AgentChanges(platform_settings=platform)
        await agents.update(self.pool, self.clock, WORKSPACE, self.agent_id, changes)

    async def busy(self, conversation_id: str, *, text_only: bool) -> None:
        """The agent holds one more conversation."""
        row = projection(
            conversation_id,
            workspace_id=WORKSPACE,
            agent_id=self.agent_id,
            phone_number_id=None,
            text_only=text_only,
            started_at=self.clock.now(),
        )
        await write(self.pool, row, [(0, AgentMessage(id="a", text="Hi"))], status="in-progress")

    async def ends(self, conversation_id: str) -> None:
        """One of those ends."""
        await self.pool.execute("update conversation set status = 'done' where id = $1", conversation_id)


@pytest.fixture
async def place(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[Place]:
    await insert_workspace(pool, clock.now())
    agent_id = await agents.create(pool, clock, WORKSPACE, AgentDefinition())
    vault, sessions, objects = Vault(b"k" * 32), ScriptedSessions(), FolderObjects(settings.data_dir)
    sockets = Sockets(
        pool=pool,
        wakeups=Wakeups(dsn),
        keyring=Keyring(pool, clock),
        vault=vault,
        objects=objects,
        clock=clock,
        settings=settings.model_copy(update={"socket_message_max_bytes": 100_000}),
        sessions=sessions,
    )
    app = Starlette(routes=[WebSocketRoute("/v1/convai/conversation", sockets.converse)])
    async with web_server(app, lifespan="off") as (server, url):
        yield Place(server, url, agent_id, sessions, sockets, vault, objects, pool, clock)
        await sockets.stop(0)


async def test_the_first_frame_tells_id_and_formats(place: Place) -> None:
    async with place.client("&source=python_sdk&version=2.78.0") as connection:
        first = await connection.begin(dynamic_variables={"name": "Ann"}, new_field=1)
    assert first["conversation_initiation_metadata_event"] == {
        "conversation_id": place.sessions.sessions[0].conversation_id,
        "agent_output_audio_format": "pcm_16000",
        "user_input_audio_format": "pcm_16000",
    }
    [start] = place.sessions.starts
    assert (start.source, start.version, start.admission.method) == ("python_sdk", "2.78.0", "public")
    assert start.data["dynamic_variables"] == {"name": "Ann"}


async def test_the_protocol_is_echoed(place: Place) -> None:
    async with place.client(subprotocols=["convai"]) as connection:
        assert connection.connection.subprotocol == "convai"
        await connection.begin()


async def test_words_and_signs_reach_the_conversation(place: Place) -> None:
    async with place.talk() as (connection, session):
        session.files = {"f1"}
        await connection.send(type="user_message", text="Hi")
        await connection.send(
            type="multimodal_message",
            text={"type": "user_message", "text": "Look"},
            file={"type": "file_input", "file_id": "f1"},
        )
        await connection.send(type="user_activity")
        await connection.send(type="contextual_update", text="cart", context_id="page")
        await connection.send(type="client_tool_result", tool_call_id="t1", result="ok", is_error=False)
        await connection.send(type="feedback", event_id=1, score="like")
        await connection.send(type="mcp_tool_approval_result", tool_call_id="t1", is_approved=True)
        await connection.send(type="pong", event_id=99)
        await connection.send(user_audio_chunk=base64.b64encode(b"\0\0" * 10).decode())
        await eventually(lambda: len(session.heard) == 7)
    assert session.heard == [
        ("message", "Hi", (), None),
        ("message", "Look", ("f1",), None),
        ("activity",),
        ("context", "cart", "page"),
        ("tool", "t1", "ok", False),
        ("feedback", 1, "like"),
        ("mcp_approval", "t1", True),
    ]


async def test_files_that_nobody_knows_are_told_and_the_rest_is_taken(place: Place) -> None:
    async with place.talk() as (connection, session):
        session.files = {"f2"}
        files = [{"type": "file_input", "file_id": name} for name in ("f1", "f2", "f3")]
        text = {"type": "user_message", "text": "Look"}
        await connection.send(type="multimodal_message", text=text, file=files[0], files=files)
        await connection.send(type="multimodal_message", file=files[2])
        await connection.send(type="user_message", text="Well?")
        await eventually(lambda: len(session.heard) == 2)
        errors = [(await connection.until("error"))["error_event"] for _ in range(2)]
    assert session.heard == [
        ("message", "Look", ("f2",), None),
        ("message", "Well?", (), None),
    ]
    assert [event["details"] for event in errors] == [{"file_ids": ["f1", "f3"]}, {"file_ids": ["f3"]}]
    assert (errors[0]["code"], errors[0]["error_type"]) == (1008, "value_error")
    assert "f1, f3" in errors[0]["reason"]


async def test_a_client_hears_what_its_agent_lets_through(place: Place) -> None:
    place.sessions.change = {"conversation": {"client_events": ["agent_response"]}}
    async with place.talk() as (connection, session):
        session.tell(ResponsePart(1, "Hel", "delta", "r1"))
        session.tell(Interruption(1))
        session.tell(AgentResponse(1, "Hello", "r1"))
        await connection.until("agent_response")
        assert connection.kinds()[1:] == ["agent_chat_response_part", "agent_response"]


async def test_the_end_of_the_conversation_closes_the_socket(place: Place) -> None:
    async with place.talk() as (connection, session):
        session.tell(AgentResponse(1, "Bye", "r1"))
        session.end("Agent ended the call")
        assert await connection.closed() == (1000, "Agent ended the call")
    assert "error" not in connection.kinds()
    assert connection.kinds()[-1] == "agent_response"


async def test_a_failure_is_told_before_the_close(place: Place) -> None:
    async with place.talk() as (connection, session):
        session.end("Every model failed", code=1002, error_type="cascade_brain_error")
        assert await connection.closed() == (1002, "Every model failed")
    assert connection.seen[-1]["error_event"]["error_type"] == "cascade_brain_error"


async def test_a_client_that_leaves_ends_its_conversation(place: Place) -> None:
    async with place.talk() as (_, session):
        pass
    await eventually(lambda: session.ended is not None)
    assert session.ended == SessionEnded(1000, "Client disconnected")


async def test_a_client_that_neither_reads_nor_answers_pings_is_one_that_has_left(place: Place) -> None:
    with capture_logs() as logs:
        async with place.talk() as (connection, session):
            client_side = connection.connection.transport
            client_side.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client_side.pause_reading()
            protocol: Any = next(iter(place.server.server_state.connections))
            server_side = protocol.transport
            server_side.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)

            def nothing_more_gets_through() -> bool:
                session.tell(AgentResponse(1, secrets.token_hex(5_000), "r1"))
                return bool(server_side.get_write_buffer_size())

            await eventually(nothing_more_gets_through)
            protocol.ping_timeout = 0.01
            protocol.send_keepalive_ping()
            await eventually(lambda: protocol.close_sent)
            session.tell(AgentResponse(2, "Are you still there?", "r2"))
            await eventually(lambda: not place.server.server_state.tasks)
            client_side.abort()
    assert session.ended == SessionEnded(1000, "Client disconnected")
    assert [entry["event"] for entry in logs] == ["socket.begun", "socket.left"]


@pytest.mark.parametrize(
    ("frame", "code", "error_type"),
    [
        ('{"type": "shout"}', 1008, "invalid_message"),
        ("{", 1008, "invalid_message"),
        ('{"type": "contextual_update"}', 1008, "missing_fields"),
        ('{"type": "conversation_initiation_client_data"}', 1008, "invalid_message"),
        ('{"type": "enclave_setup_config"}', 1008, "invalid_message"),
        (b"\x00\x01", 1008, "invalid_message"),
        (json.dumps({"type": "user_message", "text": "x" * 200_000}), 1009, "invalid_message"),
    ],
)
async def test_a_bad_frame_ends_the_conversation_and_says_why(
    place: Place, frame: str | bytes, code: int, error_type: str
) -> None:
    async with place.talk() as (connection, session):
        await connection.connection.send(frame)
        assert (await connection.closed())[0] == code
    assert connection.seen[-1]["error_event"]["error_type"] == error_type
    assert session.ended is not None
    assert session.ended.error_type == error_type


async def test_the_first_message_must_be_the_initiation(place: Place) -> None:
    async with place.client() as connection:
        await connection.send(type="user_message", text="hi")
        assert (await connection.closed())[0] == 1008
    async with place.client() as connection:
        await connection.send(user_audio_chunk="AAAA")
        assert (await connection.begin())["type"] == "conversation_initiation_metadata"


@pytest.mark.parametrize(
    ("refuse", "error_type", "reason"),
    [
        (OverrideNotAllowed("voice_id"), "override_error", "Override for field 'voice_id' is not allowed by config."),
        (
            MissingVariables(["name"], "tools"),
            "missing_dynamic_variable",
            "Missing required dynamic variables in tools: {'name'}",
        ),
    ],
)
async def test_a_refused_start_says_why(place: Place, refuse: Exception, error_type: str, reason: str) -> None:
    place.sessions.refuse = refuse
    async with place.client() as connection:
        await connection.send(type="conversation_initiation_client_data")
        assert await connection.closed() == (1008, reason)
    assert connection.seen[0]["error_event"]["error_type"] == error_type


async def test_who_may_talk(place: Place) -> None:
    key = (await workspaces.create_key(place.pool, place.clock, WORKSPACE, "test")).secret
    signature = seal(place.vault, place.clock, Signature(WORKSPACE, place.agent_id, environment="staging"))
    await place.change_agent(auth={"enable_auth": True})
    async with place.client() as stranger:
        code, reason = await stranger.closed()
    assert code == 1008
    assert "authorization" in reason
    ways: list[tuple[str, dict[str, Any], str]] = [
        ("", {"additional_headers": {"xi-api-key": key}}, "authorization_header"),
        ("", {"subprotocols": ["convai", f"bearer.{key}"]}, "authorization_header"),
        (f"&conversation_signature={signature}&source=js_sdk", {}, "signed_url"),
        ("", {"subprotocols": ["convai", f"bearer.{signature}"]}, "signed_url"),
    ]
    for query, options, method in ways:
        async with place.client(query, **options) as connection:
            await connection.begin()
        assert place.sessions.starts[-1].admission.method == method
    assert place.sessions.starts[-1].admission.environment == "staging"
    for query, options in (
        ("&environment=%00", {"additional_headers": {"xi-api-key": key}}),
        ("", {"additional_headers": {"xi-api-key": "gl_wrong"}}),
        ("&conversation_signature=abc", {}),
        ("&branch_id=agtbrch_x", {"additional_headers": {"xi-api-key": key}}),
    ):
        async with place.client(query, **options) as connection:
            assert (await connection.closed())[0] == 1008


async def test_who_may_change_the_agent_is_told_where_the_server_failed(place: Place) -> None:
    key = (await workspaces.create_key(place.pool, place.clock, WORKSPACE, "test")).secret

    def signed(*, debug: bool) -> str:
        signature = Signature(WORKSPACE, place.agent_id, debug=debug)
        return f"&conversation_signature={seal(place.vault, place.clock, signature)}"

    place.sessions.refuse = RuntimeError("the password is 1234")
    ways: list[tuple[str, dict[str, Any], bool]] = [
        ("", {}, False),
        (signed(debug=False), {}, False),
        (signed(debug=True), {}, True),
        ("", {"additional_headers": {"xi-api-key": key}}, True),
    ]
    for query, options, is_told in ways:
        async with place.client(query, **options) as connection:
            await connection.send(type="conversation_initiation_client_data")
            assert (await connection.closed())[0] == 1011
        told = connection.seen[-1]["error_event"]
        assert (told["error_type"], "1234" in str(told)) == ("unknown_websocket_crash", False)
        assert (told["debug_message"] or "").startswith("RuntimeError in greenline.channels.socket") == is_told
        assert is_told or told["debug_message"] is None


async def test_origins(place: Place) -> None:
    await place.change_agent(auth={"allowlist": [{"hostname": "shop.example"}], "require_origin_header": True})
    async with place.client(origin="https://shop.example") as connection:
        await connection.begin()
    async with place.client(origin="https://other.example") as connection:
        assert "allowlist" in (await connection.closed())[1]
    async with place.client() as connection:
        assert "Origin" in (await connection.closed())[1]


async def test_a_signed_url_of_another_agent_does_not_count(place: Place) -> None:
    other = seal(place.vault, place.clock, Signature(WORKSPACE, "agent_other"))
    async with place.client(f"&conversation_signature={other}") as connection:
        assert "another agent" in (await connection.closed())[1]


async def test_silence_ends_a_conversation_unless_the_person_waits_for_an_answer(place: Place) -> None:
    async with place.talk() as (connection, session):
        place.clock.advance(timedelta(seconds=50))
        await connection.send(type="user_activity")
        await eventually(lambda: bool(session.heard))
        place.clock.advance(timedelta(seconds=50))
        session.tell(TakenOver(by_human=True))
        place.clock.advance(timedelta(seconds=600))
        session.tell(AgentResponse(1, "Still looking", "r1"))
        await connection.until("agent_response")
        session.tell(TakenOver(by_human=False))
        await connection.until("external_agent_disconnected")
        session.answering = True
        place.clock.advance(timedelta(seconds=61))
        session.tell(AgentResponse(2, "Let me see", "r2"))
        await connection.until("agent_response")
        session.answering = False
        place.clock.advance(timedelta(seconds=61))
        code, reason = await connection.closed()
    assert code == 1002
    assert "user_activity" in reason
    assert connection.seen[-1]["error_event"]["error_type"] == "transport_receive_timeout"


async def test_pings_measure_the_way(place: Place) -> None:
    async with place.talk() as (connection, _):
        first = (await connection.until("ping"))["ping_event"]
        assert first["ping_ms"] is None
        await connection.send(type="pong", event_id=first["event_id"])
        await connection.send(type="user_activity")
        await eventually(lambda: bool(place.sessions.sessions[0].heard))
        place.clock.advance(timedelta(seconds=3))
        second = (await connection.until("ping"))["ping_event"]
    assert second["event_id"] > first["event_id"]
    assert 0 <= second["ping_ms"] < 10_000


async def test_a_flood_is_cut_and_the_server_lives(place: Place) -> None:
    async with place.talk() as (connection, session):
        for number in range(200):
            await connection.send(type="user_message", text=str(number))
        code, reason = await connection.closed()
    assert (code, reason) == (1008, "Too many messages in a short time.")
    assert session.ended is not None
    async with place.talk():
        pass


async def test_a_flood_of_sound_lets_others_have_their_turn_and_is_cut_by_what_waits(place: Place) -> None:
    place.sessions.text_only = False
    second = base64.b64encode(bytes(32_000)).decode()
    others = 0

    async def count() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    async with place.talk() as (connection, session):
        turns: list[tuple[int, int]] = []
        session.listen = lambda pcm: turns.append((others, len(pcm)))
        counting = asyncio.create_task(count())
        for _ in range(3):
            await connection.send(user_audio_chunk=second)
        await eventually(lambda: sum(size for _, size in turns) >= 90_000)
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
        assert max(size for _, size in turns) <= 2_048, "64 ms at once"
        assert len({turn for turn, _ in turns}) == len(turns), "between two pieces everybody else has had a turn"

        async def flood() -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await connection.send(user_audio_chunk=second)
                    await asyncio.sleep(0)  # the server runs in this loop, and a packed frame fills no buffer

        flooding = asyncio.create_task(flood())
        assert await connection.closed() == (1008, "Too many messages in a short time.")
        await flooding


async def test_words_are_taken_though_their_client_leaves_at_once(place: Place) -> None:
    place.sessions.text_only = False
    async with place.talk() as (connection, session):
        await connection.send(user_audio_chunk=base64.b64encode(bytes(64_000)).decode())
        await connection.send(type="user_message", text="One more word")
    await eventually(lambda: session.ended is not None)
    assert session.heard[-1] == ("message", "One more word", (), None)


async def test_a_client_that_does_not_read_is_cut(place: Place) -> None:
    async with place.client() as connection:
        await connection.begin()
        await eventually(lambda: bool(place.sessions.sessions[-1]._listeners))
        session = place.sessions.sessions[-1]
        for number in range(400):
            session.tell(AgentResponse(number, "x" * 100_000, "r"))
        await eventually(lambda: session.ended is not None)
    assert session.ended is not None
    assert session.ended.reason == "The client reads too slowly."


def sound(session: ScriptedSession) -> bytes:
    """What a session has heard: long pieces come in parts."""
    return b"".join(pcm for kind, pcm in session.heard if kind == "sound")


async def test_sound_goes_both_ways_in_the_announced_formats(place: Place) -> None:
    place.sessions.text_only = False
    place.sessions.change = {
        "asr": {"user_input_audio_format": "ulaw_8000"},
        "tts": {"agent_output_audio_format": "ulaw_8000"},
        "conversation": {"client_events": ["audio", "interruption", "asr_initiation_metadata"]},
    }
    async with place.talk() as (connection, session):
        assert session.out is not None
        assert (await connection.next())["type"] == "asr_initiation_metadata"
        await connection.send(user_audio_chunk=base64.b64encode(b"\xff" * 8000).decode())
        await eventually(lambda: len(sound(session)) >= 31_000)
        assert len(sound(session)) <= 32_000
        session.out.write(b"\0\0" * 800, 1)
        frame = await connection.until("audio")
        assert base64.b64decode(frame["audio_event"]["audio_base_64"]) == b"\xff" * 800
        session.out.clear()
        session.tell(Interruption(1))
        await connection.until("interruption")


async def test_a_server_that_leaves_lets_conversations_end_and_cuts_the_rest(place: Place) -> None:
    async with place.talk() as (first, ends), place.talk() as (second, stays):
        stopping = asyncio.create_task(place.sockets.stop(0.5))
        await asyncio.sleep(0)
        ends.end("Agent ended the call")
        assert await first.closed() == (1000, "Agent ended the call")
        assert await second.closed() == (1012, "The server is restarting. Connect again.")
        await stopping
        assert stays.ended is not None
        async with place.client() as late:
            assert (await late.closed())[0] == 1012


async def test_callers_wait_in_line_when_the_agent_is_busy(place: Place) -> None:
    place.sessions.text_only = False
    await place.change_agent(call_limits={"agent_concurrency_limit": 1})
    await place.busy("conv_busy", text_only=False)
    async with place.client() as first:
        assert (await first.begin())["type"] == "conversation_initiation_metadata"
        assert (await first.next())["queue_status_event"] == {"status": "waiting"}
        await first.send(user_audio_chunk="AAAA")
        assert place.sessions.starts == []
        sound = b""
        while len(sound) < 16_000:
            frame = (await first.until("audio"))["audio_event"]
            sound += base64.b64decode(frame["audio_base_64"])
            assert frame["event_id"] == 1, "the Python client plays nothing below it"
        assert np.abs(np.frombuffer(sound, "<i2")).max() > 1_000
        await place.ends("conv_busy")
        place.clock.advance(timedelta(seconds=1))
        assert (await first.until("queue_status"))["queue_status_event"] == {"status": "admitted"}
        await eventually(lambda: len(place.sessions.sessions) == 1)
        named = first.seen[0]["conversation_initiation_metadata_event"]["conversation_id"]
        assert place.sessions.sessions[0].conversation_id == named
        assert place.sessions.starts[0].queued_seconds == 1.0
        assert first.kinds().count("conversation_initiation_metadata") == 1


async def test_a_voice_conversation_with_an_agent_for_chats_waits_for_its_place(place: Place) -> None:
    changes = AgentChanges(conversation_config={"conversation": {"text_only": True}})
    await agents.update(place.pool, place.clock, WORKSPACE, place.agent_id, changes)
    await place.change_agent(
        call_limits={"agent_concurrency_limit": 1},
        overrides={"conversation_config_override": {"conversation": {"text_only": True}}},
    )
    await place.busy("conv_busy", text_only=False)
    async with place.client() as caller, place.client() as chat:
        await caller.begin(conversation_config_override={"conversation": {"text_only": False}})
        assert (await caller.next())["queue_status_event"] == {"status": "waiting"}
        await chat.begin(conversation_config_override={"text_only": True})
        await eventually(lambda: len(place.sessions.sessions) == 1)


async def test_what_is_written_in_the_queue_is_read_afterwards(place: Place) -> None:
    """A page tells on connecting what its visitor looks at."""
    place.sessions.text_only = False
    await place.change_agent(call_limits={"agent_concurrency_limit": 1})
    await place.busy("conv_busy", text_only=False)
    async with place.client() as waiting:
        await waiting.begin()
        await waiting.until("queue_status")
        await waiting.send(type="contextual_update", text="cart", context_id="page")
        await waiting.send(user_audio_chunk=base64.b64encode(tone(0.1)).decode())
        await waiting.send(type="user_message", text="Hello?")
        await waiting.until("audio")
        await place.ends("conv_busy")
        await until(partial(_passes, place))
        await waiting.send(type="user_message", text="Now")
        [session] = place.sessions.sessions
        await eventually(lambda: len(session.heard) == 3)
    assert session.heard == [
        ("context", "cart", "page"),
        ("message", "Hello?", (), None),
        ("message", "Now", (), None),
    ]


async def test_a_start_that_would_be_refused_does_not_wait(place: Place) -> None:
    await place.change_agent(call_limits={"agent_concurrency_limit": 1})
    await place.busy("conv_busy", text_only=False)
    place.sessions.refuse = MissingVariables(["name"], "prompt")
    async with place.client() as refused:
        await refused.send(type="conversation_initiation_client_data")
        assert await refused.closed() == (1008, "Missing required dynamic variables in prompt: {'name'}")
    assert refused.kinds() == ["error"]


async def test_a_flood_is_stopped_in_the_queue_too(place: Place) -> None:
    await place.change_agent(call_limits={"agent_concurrency_limit": 1})
    await place.busy("conv_busy", text_only=False)
    async with place.client() as flood:
        await flood.begin()
        for _ in range(100):
            await flood.send(type="contextual_update", text="x")
        assert await flood.closed() == (1008, "Too many messages in a short time.")


async def test_who_waits_hears_the_recording_of_the_agent(place: Place) -> None:
    await place.change_agent(call_limits={"agent_concurrency_limit": 1}, queueing_config={"hold_audio": RECORDING})
    await place.busy("conv_busy", text_only=False)
    tune = tone(1.0)
    await place.objects.put(file_key(WORKSPACE, RECORDING["audio_path"]), encode_wav(tune, 16_000))
    for expected in (tune, hold_tone()):
        async with place.client() as waiting:
            await waiting.begin()
            frame = (await waiting.until("audio"))["audio_event"]
            assert base64.b64decode(frame["audio_base_64"]) == expected[:3_200]
        await place.objects.delete(file_key(WORKSPACE, RECORDING["audio_path"]))
        place.sockets.host._hold_sounds._kept.clear()


async def test_who_waits_in_line_is_sent_to_another_server_when_this_one_leaves(place: Place) -> None:
    await place.change_agent(call_limits={"agent_concurrency_limit": 1})
    await place.busy("conv_busy", text_only=False)
    async with place.client() as waiting:
        await waiting.begin()
        await waiting.until("queue_status")
        stopping = asyncio.create_task(place.sockets.stop(10))
        assert await waiting.closed() == (1012, "The server is restarting. Connect again.")
        await place.ends("conv_busy")
        await stopping
    assert place.sessions.starts == []
    assert [code for _, code, _ in place.sessions.turned_away] == [1012], "the id was told"


async def test_nobody_waits_for_ever(place: Place) -> None:
    await place.change_agent(call_limits={"agent_concurrency_limit": 1}, queueing_config={"wait_timeout_seconds": 10})
    await place.busy("conv_busy", text_only=False)
    async with place.client() as waiting:
        await waiting.begin()
        await waiting.until("queue_status")
        place.clock.advance(timedelta(seconds=11))
        code, _ = await waiting.closed()
    assert code == 4300
    assert waiting.kinds()[-2:] == ["queue_status", "error"]
    assert waiting.seen[-2]["queue_status_event"] == {"status": "timed_out"}
    [(start, code, reason)] = place.sessions.turned_away
    told = waiting.seen[0]["conversation_initiation_metadata_event"]["conversation_id"]
    assert start.admission.conversation_id == told
    assert (start.queued_seconds, code, reason) == (11.0, 4300, "All lines are busy. Try again later.")


async def test_who_leaves_the_queue_is_not_forgotten(place: Place) -> None:
    await place.change_agent(call_limits={"agent_concurrency_limit": 1})
    await place.busy("conv_busy", text_only=False)
    async with place.client() as waiting:
        await waiting.begin()
        await waiting.until("queue_status")
        place.clock.advance(timedelta(seconds=4))
    await eventually(lambda: bool(place.sessions.turned_away))
    [(start, code, reason)] = place.sessions.turned_away
    assert (start.queued_seconds, code, reason) == (4.0, 1001, LEFT_QUEUE)
    assert place.sessions.starts == []


async def test_who_waited_in_vain_does_not_count_for_the_day(place: Place) -> None:
    changes = {"accepted_at": None, "phone_number_id": None, "text_only": False}
    row = projection(
        "conv_unserved", workspace_id=WORKSPACE, agent_id=place.agent_id, started_at=place.clock.now(), **changes
    )
    await write(place.pool, row, [(0, Ended(reason=LEFT_QUEUE, status="failed"))])
    await place.change_agent(call_limits={"agent_concurrency_limit": -1, "daily_limit": 1})
    async with place.talk():
        assert len(place.sessions.sessions) == 1


async def test_without_a_queue_a_busy_agent_refuses(place: Place) -> None:
    await place.change_agent(call_limits={"agent_concurrency_limit": 1}, queueing_config={"enabled": False})
    await place.busy("conv_busy", text_only=False)
    async with place.client() as refused:
        await refused.send(type="conversation_initiation_client_data")
        code, reason = await refused.closed()
    assert code == 1002
    assert "at its limit" in reason
    await place.change_agent(call_limits={"agent_concurrency_limit": -1, "daily_limit": 1})
    async with place.client() as refused:
        await refused.send(type="conversation_initiation_client_data")
        assert "a day" in (await refused.closed())[1]


async def _passes(place: Place) -> bool:
    """Whether who waited is served, once time has passed."""
    place.clock.advance(timedelta(seconds=1))
    return bool(place.sessions.sessions)
