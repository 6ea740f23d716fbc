"""The whole WhatsApp channel in one process: real Postgres, real HTTP to a scripted Graph, a scripted model."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from greenline.agents import service as agents
from greenline.agents.config import ConversationConfig
from greenline.agents.models import AgentChanges, AgentDefinition
from greenline.channels.whatsapp.account_checks import token_alarm
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.listening import LISTENS
from greenline.channels.whatsapp.service import WhatsApp
from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, Event, UserMessage, load_event
from greenline.insight.service import Insight
from greenline.llm.models import ModelReply, ModelRequest, StreamEvent
from greenline.settings import Settings
from greenline.speech.models import Speech
from greenline.store.objects import FolderObjects, Objects
from greenline.store.pool import Pool
from greenline.store.vault import open_vault
from greenline.store.wakeups import Wakeups
from greenline.tools.mcp.toolbox import Mcp
from support.no_speech import NoSpeech
from support.rows import NUMBER, WORKSPACE, insert_account, insert_workspace
from support.scripted import Answer, Request, ScriptedServer, answer, scripted
from support.wait import until

ANN = "15551230000"
STILL_LOOKS, STILL_SECONDS = 20, 0.001
"""So many looks in a row find nothing under way, this time apart: in each the event loop has a turn, however late."""
VOICE_NOTE = b"OggS of Ann"
"""The bytes of the file `900`, as a voice note has them that a scripted recogniser hears."""
Say = Callable[[ModelRequest], "ModelReply | str"]


@dataclass
class ScriptedModel:
    """Answers by ``say``; while ``hold`` is set it thinks. Keeps what it was asked and how often it was cut short."""

    say: Say = lambda request: "Hello!"
    requests: list[ModelRequest] = field(default_factory=list)
    cancelled: int = 0
    hold: asyncio.Event | None = None

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        reply = self.say(request)
        return ModelReply(request.model, reply) if isinstance(reply, str) else reply

    async def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        yield await self.complete(request)


@dataclass
class Meta:
    """Accepts what is sent. ``refuse`` may answer instead, with the message as argument.

    ``media`` are the files that people have sent, by id; ``uploads`` what was brought to it, as multipart bodies.
    """

    url: str = ""
    media: dict[str, bytes] = field(default_factory=lambda: {"900": VOICE_NOTE})
    uploads: list[bytes] = field(default_factory=list)
    refuse_upload: Answer | None = None
    media_faults: list[Answer] = field(default_factory=list)
    """What the next questions for a file are answered with."""
    sent: list[dict[str, Any]] = field(default_factory=list)
    read: list[dict[str, Any]] = field(default_factory=list)
    refuse: Callable[[dict[str, Any]], Answer | None] = lambda message: None

    def __call__(self, request: Request) -> Answer:
        path = request.target.split("?")[0]
        if path.startswith("/file/"):
            data = self.media.get(path.removeprefix("/file/"))
            return Answer(404, b"gone") if data is None else Answer(200, data)
        if request.method == "GET" and self.media_faults:
            return self.media_faults.pop(0)
        if request.method == "GET":
            return answer({"url": f"{self.url}/file/{path.rsplit('/', 1)[-1]}"})
        if path.endswith("/media") and self.refuse_upload:
            return self.refuse_upload
        if path.endswith("/media"):
            self.uploads.append(request.body)
            return answer({"id": f"media_{len(self.uploads)}"})
        body = request.json
        if body.get("status") == "read":
            self.read.append(body)
            return answer({"success": True})
        refusal = self.refuse(body)
        if refusal is not None:
            return refusal
        self.sent.append(body)
        if "to" in body:
            contacts = [{"input": body["to"], "wa_id": body["to"].lstrip("+")}]
        else:
            contacts = [{"input": body["recipient"], "user_id": body["recipient"]}]
        return answer({"contacts": contacts, "messages": [{"id": f"wamid.OUT{len(self.sent)}"}]})

    def texts(self, person: str = ANN) -> list[str]:
        """What a person was told, in order."""
        return [
            text_of(message)
            for message in self.sent
            if person in (message.get("to", "")[1:], message.get("recipient"))
        ]


def text_of(message: dict[str, Any]) -> str:
    kind = message["type"]
    if kind == "audio":
        return f"[{message['audio']['id']}]"
    return str(message["text"]["body"] if kind == "text" else message["interactive"]["body"]["text"])


@dataclass
class Channel:
    """A running channel with one number and one agent."""

    pool: Pool
    clock: ManualClock
    model: ScriptedModel
    meta: Meta
    whatsapp: WhatsApp
    agent_id: str
    servers: list[ScriptedServer]
    """What the channel asks: the Graph API, and what a test adds."""
    _wamids: int = 0
    _life: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _process: Callable[..., contextlib.AbstractAsyncContextManager[WhatsApp]] | None = None

    async def stop(self) -> None:
        """The server leaves."""
        await self._life.aclose()

    async def start(self, **settings: Any) -> None:
        """The next one begins, with changed settings."""
        assert self._process is not None
        self.whatsapp = await self._life.enter_async_context(self._process(**settings))

    async def configure(self, config: dict[str, Any] | None = None, **platform: Any) -> None:
        """Change the agent: its ``conversation_config`` and blocks of its ``platform_settings``."""
        changes = AgentChanges(conversation_config=config, platform_settings=platform)
        await agents.update(self.pool, self.clock, WORKSPACE, self.agent_id, changes)

    async def speak(self, media_id: str = "900", person: str = ANN, **more: Any) -> None:
        """A voice note of a person arrives; ``more`` belongs to the message."""
        audio = {"id": media_id, "mime_type": "audio/ogg; codecs=opus", "voice": True, **more.pop("audio", {})}
        await self.hear("", person, type="audio", audio=audio, **more)

    async def hear(self, text: str | None = "Hi", person: str = ANN, **more: Any) -> str:
        """A message of a person arrives, which has this text if any; returns its wamid."""
        self._wamids += 1
        wamid = f"wamid.IN{self._wamids}"
        message = {
            "from": person,
            "id": wamid,
            "timestamp": str(int(self.clock.now().timestamp())),
            "type": "text",
            **({} if text is None else {"text": {"body": text}}),
            **more,
        }
        await self.deliver("messages", messages=[message], contacts=[{"wa_id": person, "profile": {"name": "Ann"}}])
        return wamid

    async def status(self, message: dict[str, Any], state: str, **more: Any) -> None:
        """A status of a sent message arrives."""
        status = {
            "id": more.pop("wamid", "wamid.X"),
            "status": state,
            "timestamp": str(int(self.clock.now().timestamp())),
            "recipient_id": message["to"].lstrip("+"),
            "biz_opaque_callback_data": message["biz_opaque_callback_data"],
            **more,
        }
        await self.deliver("messages", statuses=[status])

    def advance(self, delta: timedelta) -> None:
        """Let time pass, and have workers look at once for what has become due, as they do twice a second."""
        self.clock.advance(delta)
        for look in self.whatsapp._wakeups._events.values():
            look.set()

    async def reached(self) -> None:
        """A second later something else arrives: Meta's webhooks do reach the server."""
        self.clock.advance(timedelta(seconds=1))
        await self.deliver("account_alerts", alert_type="NOTHING", entity_id=str(self.clock.now()))

    async def deliver(self, name: str, **value: Any) -> None:
        """A webhook arrives."""
        metadata = {"phone_number_id": NUMBER, "display_phone_number": "15550001111"}
        change = {"field": name, "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
        body = {"object": "whatsapp_business_account", "entry": [{"id": "waba_1", "changes": [change]}]}
        await self.whatsapp.inbox.accept(json.dumps(body).encode())

    async def told(self, count: int, person: str = ANN) -> list[str]:
        """What a person was told, when it is ``count`` messages."""

        async def enough() -> list[str]:
            texts = self.meta.texts(person)
            return texts if len(texts) >= count else []

        return await until(enough)

    async def quiet(self) -> None:
        """Wait until nothing of the inbox waits and no mailbox is at work; a sender may keep a number for a while."""

        async def nothing_waits() -> bool:
            return not await self.pool.fetchval(
                """select exists (select 1 from inbox where done_at is null)
                     or exists (
                       select 1 from mailbox where (owner is not null or due_at <= $1) and (
                         kind <> 'sender'
                         or exists (select 1 from outbox where state in ('queued', 'sending', 'unknown'))))""",
                self.clock.now(),
            )

        await until(nothing_waits)

    async def settled(self) -> None:
        """Wait until nothing is under way but what waits for the clock, or for an answer that does not come."""
        still = 0
        while still < STILL_LOOKS:
            asked = self._asked
            await asyncio.sleep(STILL_SECONDS)
            idle = self.pool.get_idle_size() == self.pool.get_size()
            still = still + 1 if idle and asked == self._asked else 0

    @property
    def _asked(self) -> int:
        return sum(len(server.requests) for server in self.servers)

    async def pass_time(self, condition: Callable[[], Awaitable[object]], *, step: float) -> None:
        """Let time pass until a condition is true, ``step`` seconds at once, whatever the machine takes for them."""

        async def true() -> bool:
            if await condition():
                return True
            await self.settled()
            self.clock.advance(timedelta(seconds=step))
            return False

        await until(true, every=0.0)

    async def quiet_facts(self) -> None:
        """Wait until every event is applied."""

        async def applied() -> bool:
            return not await self.pool.fetchval("select exists (select 1 from inbox where done_at is null)")

        await until(applied)

    async def conversations(self) -> list[dict[str, Any]]:
        """The conversations, oldest first."""
        return [dict(row) for row in await self.pool.fetch("select * from conversation order by started_at, id")]

    async def journal(self, conversation_id: str) -> list[Event]:
        """The events of a conversation."""
        rows = await self.pool.fetch(
            "select kind, data from conversation_event where conversation_id = $1 order by seq", conversation_id
        )
        return [load_event(row["kind"], row["data"]) for row in rows]

    async def exchange(self) -> tuple[UserMessage, AgentMessage]:
        """What was first said in the only conversation, and the first answer of the model."""
        (conversation,) = await self.conversations()
        journal = await self.journal(conversation["id"])
        said = next(event for event in journal if isinstance(event, UserMessage))
        answered = next(event for event in journal if isinstance(event, AgentMessage) and event.origin == "model")
        return said, answered

    async def outbox(self) -> list[dict[str, Any]]:
        """The outbox, in order."""
        return [dict(row) for row in await self.pool.fetch("select * from outbox order by position")]


@contextlib.asynccontextmanager
async def running_channel(
    pool: Pool,
    dsn: str,
    clock: ManualClock,
    settings: Settings,
    agent: dict[str, Any] | None = None,
    speech: Speech | None = None,
    objects: Objects | None = None,
) -> AsyncIterator[Channel]:
    """A channel that works, until the block ends. ``agent`` is the block ``conversation_config.agent``."""
    meta, model = Meta(), ScriptedModel()
    async with scripted(meta) as graph_server:
        meta.url = graph_server.url
        settings = settings.model_copy(update={"graph_url": graph_server.url})
        vault = open_vault(settings)
        await insert_workspace(pool, clock.now())
        await insert_account(pool, clock.now(), token=vault.seal("token", NUMBER))
        config = ConversationConfig.model_validate({"agent": agent or {"prompt": {"prompt": "You sell tea."}}})
        agent_id = await agents.create(pool, clock, WORKSPACE, AgentDefinition(conversation_config=config))
        await pool.execute("update whatsapp_account set assigned_agent_id = $1", agent_id)

        def process(**change: Any) -> contextlib.AbstractAsyncContextManager[WhatsApp]:
            return channel_process(pool, dsn, clock, settings.model_copy(update=change), model, speech, objects)

        async with contextlib.AsyncExitStack() as life:
            whatsapp = await life.enter_async_context(process())
            yield Channel(pool, clock, model, meta, whatsapp, agent_id, [graph_server], _life=life, _process=process)


@contextlib.asynccontextmanager
async def channel_process(
    pool: Pool,
    dsn: str,
    clock: ManualClock,
    settings: Settings,
    model: ScriptedModel,
    speech: Speech | None,
    objects: Objects | None,
) -> AsyncIterator[WhatsApp]:
    """What a server process runs of the channel, until the block ends."""
    wakeups, graph = Wakeups(dsn), GraphClient(settings, token_alarm(pool, clock))
    await wakeups.start()
    mcp = Mcp(pool, clock, settings)
    whatsapp = WhatsApp(
        pool=pool,
        wakeups=wakeups,
        graph=graph,
        vault=open_vault(settings),
        models=model,
        mcp=mcp,
        speech=speech or NoSpeech(),
        objects=objects or FolderObjects(settings.data_dir),
        clock=clock,
        settings=settings,
    )
    insight = Insight(pool=pool, wakeups=wakeups, models=model, clock=clock, settings=settings)
    insight.start()
    whatsapp.start()
    try:
        await until(lambda: _listens(pool, listens=settings.takes_webhooks))
        yield whatsapp
    finally:
        await whatsapp.stop(1.0)
        await insight.stop(1.0)
        await wakeups.aclose()
        await mcp.aclose()
        await graph.aclose()
        await until(lambda: _listens(pool, listens=False))


async def _listens(pool: Pool, *, listens: bool) -> bool:
    """Whether a server listens for Meta or, if it is asked, none does."""
    held: bool = await pool.fetchval(
        """select exists (select from pg_locks where locktype = 'advisory' and classid = $1::int::oid
             and database = (select oid from pg_database where datname = current_database()))""",
        LISTENS,
    )
    return held == listens
