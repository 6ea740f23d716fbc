"""Calls in one process: real Postgres, real HTTP to a scripted Graph, real media with a caller, a scripted agent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from greenline.agents import service as agents
from greenline.agents.config import ConversationConfig
from greenline.agents.models import AgentDefinition
from greenline.channels.live.models import AudioOut
from greenline.channels.whatsapp.account_checks import token_alarm
from greenline.channels.whatsapp.calls.agent import CallOut, Goodbye
from greenline.channels.whatsapp.calls.outbound import CallStarter
from greenline.channels.whatsapp.calls.service import Calls
from greenline.channels.whatsapp.calls.store import CallRow, Line
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.service import WhatsApp
from greenline.channels.whatsapp.templates import Templates
from greenline.clock import ManualClock
from greenline.errors import BadRequest
from greenline.ids import new_id
from greenline.settings import Settings
from greenline.speech.models import Speech
from greenline.store.objects import FolderObjects
from greenline.store.pool import Pool
from greenline.store.vault import open_vault
from greenline.store.wakeups import Wakeups
from greenline.tools.mcp.toolbox import Mcp
from support.channel import Channel, Meta, ScriptedModel
from support.graph_stand_in import GraphStandIn
from support.no_speech import NoSpeech
from support.rows import NUMBER, WORKSPACE, insert_account, insert_workspace
from support.rtc_peer import RtcPeer
from support.scripted import Answer, Request, answer, scripted
from support.voice import tone
from support.wait import eventually, until

TEMPLATE = {
    "id": "9",
    "name": "may_we_call",
    "language": "en",
    "status": "APPROVED",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "May we call you?"}, {"type": "CALL_PERMISSION_REQUEST"}],
}


@dataclass
class CallMeta(Meta):
    """The Calling API as far as it needs no media: keeps the actions, and answers as ``permission`` says."""

    actions: list[dict[str, Any]] = field(default_factory=list)
    refuse_action: Callable[[dict[str, Any]], Answer | None] = lambda body: None
    refuse_query: Callable[[], Answer | None] = lambda: None
    permission: dict[str, Any] = field(default_factory=lambda: permitted("temporary"))
    templates: list[dict[str, Any]] = field(default_factory=lambda: [TEMPLATE])
    calling: dict[str, Any] = field(default_factory=dict)
    """The calling settings of the number."""
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    """Whom the calls of the business went to, by Meta's ids of them."""

    def __call__(self, request: Request) -> Answer:
        """Answer as Meta would."""
        place = urlsplit(request.target)
        last = place.path.rsplit("/", 1)[-1]
        if last == "calls":
            return self._act(request.json)
        if last == "settings":
            return answer({"calling": self.calling})
        if last == "call_permissions":
            self.queries.append(parse_qs(place.query))
            return self.refuse_query() or answer(self.permission)
        if last == "message_templates":
            return answer({"data": self.templates})
        return super().__call__(request)

    def _act(self, body: dict[str, Any]) -> Answer:
        refusal = self.refuse_action(body)
        if refusal is not None:
            return refusal
        self.actions.append(body)
        if body["action"] == "connect":
            wacid = f"wacid.OUT{len(self.made) + 1}"
            self.made[wacid] = body.get("to") or body["recipient"]
            return answer({"messaging_product": "whatsapp", "calls": [{"id": wacid}]})
        return answer({"messaging_product": "whatsapp", "success": True})

    def names(self) -> list[str]:
        """The actions in their order."""
        return [body["action"] for body in self.actions]

    async def action(self, name: str, count: int = 1, *, wacid: str | None = None) -> dict[str, Any]:
        """The action ``name``, on any call or on one, when it has come for the ``count``th time."""

        async def come() -> dict[str, Any] | None:
            named = [body for body in self.actions if body["action"] == name]
            found = named if wacid is None else [body for body in named if body["call_id"] == wacid]
            return found[count - 1] if len(found) >= count else None

        found = await until(come)
        assert found is not None
        return found


class CallingMeta(GraphStandIn):
    """Accounts and templates of the stand-in, and the Calling API."""

    def __init__(self) -> None:
        super().__init__(templates=[TEMPLATE])
        self.calls = CallMeta()

    def __call__(self, request: Request) -> Answer:
        """Answer as Meta would."""
        path = request.target.split("?")[0]
        if path.endswith(("/calls", "/call_permissions", "/settings")):
            return self.calls(request)
        return super().__call__(request)


def permitted(status: str, *, ask: bool = True, call: bool = True) -> dict[str, Any]:
    """Meta's answer to the question whether a person may be called."""
    limit = {"time_period": "PT24H", "max_allowed": 1, "current_usage": 0 if ask else 1}
    granted = status != "no_permission"
    return {
        "messaging_product": "whatsapp",
        "permission": {"status": status},
        "actions": [
            {"action_name": "send_call_permission_request", "can_perform_action": ask, "limits": [limit]},
            {"action_name": "start_call", "can_perform_action": granted and call},
        ],
    }


@dataclass
class ScriptedVoice:
    """An agent that says half a second of tone and keeps what it hears."""

    conversation_id: str
    out: AudioOut
    fail: bool = False
    running: bool = False
    deaf: bool = False
    met_voicemail: bool = False
    pcm: bytearray = field(default_factory=bytearray)
    digits: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    listens: asyncio.Event | None = None
    """Set when it has begun to listen; at once without one."""
    task: asyncio.Task[Any] | None = None
    ended: str | None = None
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, begun: Callable[[], None]) -> Goodbye:
        self.running, self.task = True, asyncio.current_task()
        if self.listens is not None:
            await self.listens.wait()
            self.listens = None
        begun()
        try:
            if self.fail:
                raise RuntimeError("the model is on fire")
            self.say()
            await self._over.wait()
        finally:
            self.running = False
        return Goodbye(self.ended or "")

    def say(self) -> None:
        """Say it once more."""
        self.out.write(tone(0.5), 1)

    def hear(self, pcm: bytes, at: float | None = None) -> None:
        self.pcm += pcm

    def digit(self, digit: str) -> None:
        self.digits.append(digit)

    def typed(self, text: str, wamid: str | None) -> bool:
        hears = not self.deaf and self.listens is None
        if hears:
            self.texts.append(text)
        return hears

    def end(self, reason: str) -> None:
        self.ended = self.ended or reason
        self._over.set()


@dataclass
class ScriptedAgents:
    """Gives every call a `ScriptedVoice`."""

    voices: list[ScriptedVoice] = field(default_factory=list)
    fail: bool = False
    refuse: Exception | None = None
    unlucky: set[str] = field(default_factory=set)
    """Meta's ids of calls for which there is no agent."""
    listens: asyncio.Event | None = None

    async def prepare(self, row: CallRow, line: Line, out: CallOut) -> ScriptedVoice:
        if self.refuse is not None:
            raise self.refuse
        if row.wacid in self.unlucky:
            raise BadRequest("The agent needs a variable.")
        voice = ScriptedVoice(row.conversation_id or new_id("conv"), out, self.fail, listens=self.listens)
        self.voices.append(voice)
        return voice


@dataclass(kw_only=True)
class CallChannel(Channel):
    """A running channel that takes calls."""

    calls: Calls
    agents: ScriptedAgents
    starter: CallStarter
    meta: CallMeta
    settings: Settings

    async def ring(self, sdp: str, wacid: str = "wacid.1", **more: Any) -> None:
        """A person calls."""
        session = {"sdp_type": "offer", "sdp": sdp}
        await self.tell_call("connect", wacid, direction="USER_INITIATED", session=session, **more)

    async def tell_call(self, event: str, wacid: str = "wacid.1", **more: Any) -> None:
        """Meta tells of a call."""
        ends = {"from": "15551230000", "from_user_id": "US.1", "to": "15550001111"}
        call = {"id": wacid, **ends, "event": event, "timestamp": "1790000000", **more}
        contact = {"profile": {"name": "Ann"}, "wa_id": "15551230000", "user_id": "US.1"}
        await self.deliver("calls", calls=[call], contacts=[contact])

    async def tell_status(self, status: str, wacid: str = "wacid.OUT1", **more: Any) -> None:
        """Meta tells of a call of ours."""
        await self.deliver("calls", statuses=[{"id": wacid, "type": "call", "status": status, **more}])

    async def reply(self, response: str, **more: Any) -> None:
        """The person answers the request for permission."""
        reply = {"type": "call_permission_reply", "call_permission_reply": {"response": response, **more}}
        await self.hear("", type="interactive", interactive=reply)

    async def row(self) -> dict[str, Any]:
        """The only call."""
        return dict(await self.pool.fetchrow("select * from whatsapp_call") or {})

    async def ended(self) -> dict[str, Any]:
        """The only call, when it has ended and all that belongs to its end is done."""

        async def over() -> dict[str, Any] | None:
            row = await self.row()
            return row if row.get("phase") == "ended" else None

        await until(over)
        await self.quiet()
        return await self.row()

    async def acted(self, name: str, count: int = 1, *, step: float) -> None:
        """Let time pass, by ``step`` seconds, until Meta has heard an action for the ``count``th time."""

        async def heard() -> bool:
            return self.meta.names().count(name) >= count

        await self.pass_time(heard, step=step)

    async def connected(self) -> dict[str, Any]:
        """The action ``connect``, once Meta's id of the call is known: what Meta tells sooner waits for the clock."""
        connect = await self.meta.action("connect")
        await self.phase("ringing")
        return connect

    async def phase(self, name: str) -> None:
        """Return when the only call is in a phase."""

        async def there() -> bool:
            return (await self.row()).get("phase") == name

        await until(there)


@contextlib.asynccontextmanager
async def calling_channel(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, speech: Speech | None = None
) -> AsyncIterator[CallChannel]:
    """A channel with calls that works, until the block ends."""
    meta, model, voices = CallMeta(), ScriptedModel(), ScriptedAgents()
    async with scripted(meta) as graph_server:
        settings = settings.model_copy(update={"graph_url": graph_server.url})
        vault = open_vault(settings)
        await insert_workspace(pool, clock.now())
        await insert_account(pool, clock.now(), token=vault.seal("token", NUMBER))
        config = ConversationConfig.model_validate({"agent": {"prompt": {"prompt": "You sell tea."}}})
        agent_id = await agents.create(pool, clock, WORKSPACE, AgentDefinition(conversation_config=config))
        await pool.execute("update whatsapp_account set assigned_agent_id = $1", agent_id)
        wakeups, graph = Wakeups(dsn), GraphClient(settings)
        await wakeups.start()
        mcp = Mcp(pool, clock, settings)
        whatsapp = WhatsApp(
            pool=pool,
            wakeups=wakeups,
            graph=graph,
            vault=vault,
            models=model,
            mcp=mcp,
            speech=speech or NoSpeech(),
            objects=FolderObjects(settings.data_dir),
            clock=clock,
            settings=settings,
        )
        alarm = token_alarm(pool, clock)
        calls = Calls(
            pool=pool, wakeups=wakeups, vault=vault, token_died=alarm, agents=voices, clock=clock, settings=settings
        )
        starter = CallStarter(pool, graph, vault, Templates(pool, graph, vault, clock, settings), clock, settings)
        whatsapp.start()
        calls.start()
        try:
            yield CallChannel(
                pool=pool,
                clock=clock,
                model=model,
                meta=meta,
                whatsapp=whatsapp,
                agent_id=agent_id,
                servers=[graph_server],
                calls=calls,
                agents=voices,
                starter=starter,
                settings=settings,
            )
        finally:
            await calls.stop(0.0)
            await whatsapp.stop(1.0)
            await wakeups.aclose()
            await mcp.aclose()
            await graph.aclose()


@contextlib.asynccontextmanager
async def talking(channel: CallChannel) -> AsyncIterator[tuple[RtcPeer, ScriptedVoice]]:
    """A call in which both sides can be heard."""
    peer = RtcPeer()
    try:
        await channel.ring(await peer.offer())
        pre_accept = await channel.meta.action("pre_accept")
        await peer.apply_answer(pre_accept["session"]["sdp"])
        accept = await channel.meta.action("accept")
        assert accept["session"] == pre_accept["session"]
        peer.out.open()
        await eventually(lambda: channel.agents.voices and channel.agents.voices[0].running)
        yield peer, channel.agents.voices[0]
    finally:
        await peer.close()


async def offer() -> str:
    """An offer of a caller that never comes."""
    peer = RtcPeer()
    sdp = await peer.offer()
    await peer.close()
    return sdp


@contextlib.asynccontextmanager
async def another_process(
    channel: CallChannel, dsn: str, *, agents: ScriptedAgents | None = None, **change: Any
) -> AsyncIterator[Calls]:
    """The calls of a second process on the same database, with changed settings, until the block ends."""
    settings, wakeups = channel.settings.model_copy(update=change), Wakeups(dsn)
    calls = Calls(
        pool=channel.pool,
        wakeups=wakeups,
        vault=open_vault(settings),
        token_died=token_alarm(channel.pool, channel.clock),
        agents=agents or ScriptedAgents(),
        clock=channel.clock,
        settings=settings,
    )
    await wakeups.start()
    calls.start()
    try:
        yield calls
    finally:
        await calls.stop(0.0)
        await wakeups.aclose()
