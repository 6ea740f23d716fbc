"""The agents of calls as live sessions: one memory with the chat of the same person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from greenline.agents.config.limits import STORED
from greenline.agents.initiation import InitiationData
from greenline.agents.models import AgentVersion
from greenline.agents.service import get_version, live_version
from greenline.channels.limits import check_call
from greenline.channels.live.beginning import Beginning, Memory
from greenline.channels.live.keypad_tool import keypad
from greenline.channels.live.models import CODE_NORMAL, AudioOut
from greenline.channels.live.session import LiveSession
from greenline.channels.live.sessions import LiveSessions
from greenline.channels.whatsapp.answer import SOURCE, parties
from greenline.channels.whatsapp.calls.agent import CallOut, Goodbye
from greenline.channels.whatsapp.calls.chat_tool import SendChatMessage
from greenline.channels.whatsapp.calls.store import CallRow, CallStore, Line, sql
from greenline.channels.whatsapp.chat import load_chat, thread
from greenline.channels.whatsapp.outbound import startable_version
from greenline.clock import Clock
from greenline.conversations.journal import read_journal
from greenline.conversations.models import ConversationNotFound
from greenline.conversations.projection import Projection
from greenline.errors import BadRequest, NotFound
from greenline.ids import new_id
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.tools.initiation_webhook import NewConversation, StartData
from greenline.workspaces.environments import PRODUCTION


class NobodyAnswers(NotFound):
    """No agent is assigned to the number: assign one, so that its calls are answered."""

    code = "no_agent_assigned"


class NothingKept(BadRequest):
    """The agent keeps nothing: calls on WhatsApp are not taken in zero-retention mode."""

    code = "zero_retention_mode"


class LiveVoice:
    """A call's conversation. It begins, durably, when the person can hear it."""

    def __init__(self, live: LiveSessions, beginning: Beginning, out: AudioOut) -> None:
        self.met_voicemail = False
        self._live = live
        # A person who calls is no machine: only a call of the business may meet one.
        meets = self._meet_voicemail if beginning.projection is not None else None
        self._beginning = replace(beginning, met_voicemail=meets)
        self._out = out
        self._session: LiveSession | None = None
        self._ended: str | None = None

    @property
    def conversation_id(self) -> str:
        """Its id."""
        return self._beginning.conversation_id or ""

    async def run(self, begun: Callable[[], None]) -> Goodbye:
        """Greet, listen and speak until the end."""
        session = await self._live.begin(self._beginning, lambda config: self._out)
        self._session = session
        if self._ended is not None:
            session.end(self._ended)
        begun()
        ended = await session.run()
        return Goodbye(ended.reason, failed=ended.error_type is not None and ended.code != CODE_NORMAL)

    def hear(self, pcm: bytes, at: float | None = None) -> None:
        """16-bit PCM of 16 kHz from the person; ``at``: where it begins by their clock."""
        if self._session is not None:
            self._session.hear(pcm, at=at)

    def digit(self, digit: str) -> None:
        """A key that the person pressed."""
        if self._session is not None:
            self._session.digit(digit)

    def typed(self, text: str, wamid: str | None) -> bool:
        """What the person wrote in the chat meanwhile; False when nobody listens any more."""
        if self._session is None or self._session.over:
            return False
        if text.strip():
            self._session.user_message(text)
        return True

    def _meet_voicemail(self) -> None:
        self.met_voicemail = True

    def end(self, reason: str) -> None:
        """The call is over: `run` returns soon."""
        self._ended = reason or "The call has ended"
        if self._session is not None:
            self._session.end(self._ended)


class LiveCallAgents:
    """The `greenline.channels.whatsapp.calls.agent.CallAgents` of the server."""

    def __init__(self, pool: Pool, vault: Vault, live: LiveSessions, clock: Clock, settings: Settings) -> None:
        self._pool = pool
        self._start_data = StartData(pool, vault, settings)
        self._live = live
        self._clock = clock
        self._settings = settings
        self._store = CallStore(pool)

    async def prepare(self, row: CallRow, line: Line, out: CallOut) -> LiveVoice:
        """The agent for a call.

        Raises `NobodyAnswers`, `NothingKept`, `ConversationNotFound` for one that was deleted since it was asked for,
        and what `check_call`, `startable_version` and `LiveSessions.check` raise.
        """
        projection = await self._store.conversation(row) if row.conversation_id else None
        if projection is None and row.conversation_id is not None:
            raise ConversationNotFound("The conversation was deleted before the call was made.")
        conversation_id = new_id("conv") if projection is None else projection.id
        if projection is not None:
            version = await get_version(self._pool, row.workspace_id, projection.version_id)
        elif line.assigned_agent_id is not None:
            version = await live_version(self._pool, row.workspace_id, line.assigned_agent_id)
        else:
            raise NobodyAnswers
        if version.platform_settings.privacy.zero_retention_mode:
            raise NothingKept
        await check_call(self._pool, row.workspace_id, version, self._clock.now(), conversation_id)
        if projection is not None:
            beginning = await self._outbound(row, line, version, projection)
        else:
            beginning = await self._inbound(row, line, version, conversation_id)
        beginning = replace(
            beginning, tools=(*beginning.tools, *keypad(beginning.version.conversation_config, out.press))
        )
        await self._live.check(beginning)
        return LiveVoice(self._live, beginning, out)

    async def _outbound(self, row: CallRow, line: Line, version: AgentVersion, projection: Projection) -> Beginning:
        rows = await self._pool.fetch(sql["journal"], row.workspace_id, projection.id)
        return Beginning(
            version=version,
            workspace_id=row.workspace_id,
            source=SOURCE,
            method="whatsapp",
            data=InitiationData.model_validate(projection.initiation, context=STORED),
            conversation_id=projection.id,
            text_only=False,
            tools=self._tools(row, line, projection.id),
            has_client=False,
            recall=partial(self._memory, row, but=projection.id),
            projection=projection,
            events=tuple(entry.event for entry in read_journal(rows)),
        )

    async def _inbound(self, row: CallRow, line: Line, version: AgentVersion, conversation_id: str) -> Beginning:
        new = NewConversation(version, row.workspace_id, conversation_id, line.user_id, row.phone_number_id)
        brought = await self._start_data.ask(new)
        data = brought.data
        if brought.notes:
            version = await startable_version(self._pool, row.workspace_id, version.agent_id, data)
        return Beginning(
            version=version,
            workspace_id=row.workspace_id,
            source=SOURCE,
            method="whatsapp",
            data=data,
            environment=data.environment or PRODUCTION,
            conversation_id=conversation_id,
            direction="inbound",
            user_id=data.user_id or line.user_id,
            notes=brought.notes,
            variables=parties(row.phone_number_id, line.user_id, inbound=True),
            text_only=False,
            recall=partial(self._memory, row),
            tools=self._tools(row, line, conversation_id),
            has_client=False,
            chat_id=row.chat_id,
            phone_number_id=row.phone_number_id,
        )

    async def _memory(self, row: CallRow, *, but: str | None = None) -> Memory:
        chat = await load_chat(self._pool, row.workspace_id, row.chat_id)
        if chat is None:
            return None, ()
        return await thread(self._pool, chat, self._settings, self._clock.now(), but=but)

    def _tools(self, row: CallRow, line: Line, conversation_id: str) -> tuple[SendChatMessage, ...]:
        return (
            SendChatMessage(
                self._pool, self._clock, row.workspace_id, line.phone_number_id, row.chat_id, conversation_id
            ),
        )
