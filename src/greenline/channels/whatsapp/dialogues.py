"""The conversations of a chat as a turn enters and leaves them: begin, resume, say, end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import structlog

from greenline.agents.config import ConversationConfig
from greenline.agents.lookup import Lookup, ValueUnavailable
from greenline.agents.models import AgentVersion, VersionNotFound
from greenline.agents.service import get_version
from greenline.agents.variables import MissingVariables, SecretVariable
from greenline.channels.whatsapp.answer import build_turn, configured
from greenline.channels.whatsapp.chat import Chat
from greenline.channels.whatsapp.commit import TurnCommit
from greenline.channels.whatsapp.compose import compose
from greenline.channels.whatsapp.dialogue import Dialogue, Failure
from greenline.channels.whatsapp.inbound import InboundMessage
from greenline.channels.whatsapp.openings import Openings
from greenline.channels.whatsapp.saying import record, speak
from greenline.channels.whatsapp.voice_notes import SpokenNote
from greenline.conversations.away import away_notes
from greenline.conversations.beginning import known_from_start
from greenline.conversations.events import (
    AgentMessage,
    Ended,
    Event,
    HumanTakeover,
    Noted,
    TurnFailed,
)
from greenline.conversations.heard import awaits_answer
from greenline.conversations.lifecycle import (
    AGENT_DELETED,
    SUPERSEDED,
    Deadline,
    deadline,
    taken_over,
    takeover_deadline,
)
from greenline.conversations.projection import Projection
from greenline.conversations.voices import voiced
from greenline.engine.effects import Effects
from greenline.engine.request import model_request
from greenline.engine.turn import Outcome, Spoken, Turn, fail
from greenline.engine.variables import known
from greenline.ids import new_id
from greenline.llm.models import ModelRequest
from greenline.settings import Settings
from greenline.speech.labels import unlabelled
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.tools.mcp.desk import NobodyAsked
from greenline.tools.mcp.toolbox import Mcp, Offer, Toolbox
from greenline.tools.models import Text

log = structlog.get_logger(__name__)

NO_AGENT: Final = "no agent is assigned to the number"
MESSAGING_OFF: Final = "messaging is switched off for the number"
ZERO_RETENTION: Final = "the agent keeps nothing: inbound WhatsApp is ignored in zero-retention mode"


class Dialogues:
    """Conversations of WhatsApp chats, over the store. Writes only into the `TurnCommit` that it is given."""

    def __init__(self, pool: Pool, vault: Vault, settings: Settings, mcp: Mcp) -> None:
        self._pool = pool
        self._mcp = mcp
        self._vault = vault
        self._settings = settings
        self._openings = Openings(pool, vault, settings)

    async def close_expired(self, chat: Chat, commit: TurnCommit) -> Chat:
        """End the open conversations whose time is over or whose agent is gone; returns the chat with the others."""
        remaining = [row for row in chat.open if not await self._close_expired(chat, row, commit)]
        if remaining and remaining[0] is not chat.open[0]:  # what the newest one superseded ends with it
            for conversation in remaining:
                commit.record(conversation, Ended(reason=SUPERSEDED))
            remaining = []
        return replace(chat, open=tuple(remaining), journal=chat.journal if remaining else ())

    async def _close_expired(self, chat: Chat, conversation: Projection, commit: TurnCommit) -> bool:
        try:
            version = await self._version(conversation, commit)
        except VersionNotFound:  # whoever is assigned now begins anew with the person
            commit.record(conversation, Ended(reason=AGENT_DELETED))
            return True
        config = configured(version, conversation.initiation, chat.language_of(conversation))
        end = self._deadline(chat, conversation, config, commit)
        if end is None or end.at > commit.now:
            return False
        farewell = config.agent.max_conversation_duration_message
        if farewell:
            speak(chat, conversation, commit, farewell, "closing")
        commit.record(conversation, Ended(reason=end.reason))
        return True

    async def next_deadline(self, chat: Chat, commit: TurnCommit) -> datetime | None:
        """When the chat must be looked at again if nobody writes."""
        rows = {conversation.id: conversation for conversation in chat.open} | commit.conversations
        ends = [
            self._deadline(chat, row, configured(await self._version(row, commit), row.initiation), commit)
            for row in rows.values()
            if row.is_open
        ]
        return min((end.at for end in ends if end is not None), default=None)

    async def enter(
        self, chat: Chat, commit: TurnCommit, *, heard: bool = True
    ) -> tuple[Dialogue | None, str | None]:
        """The conversation that a message belongs to, open or new; or None and why nobody answers.

        ``heard``: whether the person said anything, which resumes a conversation that the business has begun.
        """
        if not chat.enable_messaging:
            return None, MESSAGING_OFF
        if chat.open:
            dialogue = await self._resume(chat, commit, heard=heard)
        elif chat.assigned_agent_id is None:
            return None, NO_AGENT
        else:
            dialogue = await self._openings.begin(chat, chat.assigned_agent_id, commit)
        if dialogue.version.platform_settings.privacy.zero_retention_mode:
            return None, ZERO_RETENTION
        return dialogue, None

    async def turn(self, dialogue: Dialogue, said: tuple[Event, ...], *, aloud: bool) -> Turn | None:
        """What the engine is to answer, ``aloud`` by a voice note; None when the agent can't be asked.

        The reason is kept then.
        """
        if dialogue.failure is not None:
            return None
        started, conversation = dialogue.started, dialogue.conversation
        variables = known(started, dialogue.journal)
        lookup = Lookup(
            pool=self._pool,
            vault=self._vault,
            workspace_id=conversation.workspace_id,
            conversation_id=conversation.id,
            variables=variables,
            sealed=started.sealed_variables,
            environment=conversation.environment,
        )
        extra_body = conversation.initiation.get("custom_llm_extra_body") or {}
        try:
            request = await model_request(dialogue.config, lookup, extra_body)
            servers = dialogue.config.agent.prompt.mcp_server_ids
            offer = await Toolbox(self._mcp, lookup, NobodyAsked()).offer(servers, variables)
            dialogue.opening += away_notes(offer.away, dialogue.journal)
            return self._build_turn(dialogue, said, request, offer, aloud=aloud)
        except (MissingVariables, SecretVariable) as error:
            dialogue.failure = Failure(error.code, error.message, ends=True)
        except ValueUnavailable as error:
            dialogue.failure = Failure(error.code, error.message)
        return None

    def _build_turn(
        self, dialogue: Dialogue, said: tuple[Event, ...], request: ModelRequest, offer: Offer, *, aloud: bool
    ) -> Turn:
        def translate(language: str) -> Turn:
            """The model that began a turn goes on with it in another language."""
            dialogue.switch_to(language)
            return self._build_turn(dialogue, said, request, offer, aloud=aloud)

        return build_turn(
            conversation_id=dialogue.conversation.id,
            config=dialogue.config,
            started=dialogue.started,
            request=request,
            journal=(*dialogue.journal, *dialogue.opening, *said),
            files=dialogue.files,
            settings=self._settings,
            guardrails=dialogue.version.platform_settings.guardrails,
            offer=offer,
            aloud=aloud,
            translate=translate,
        )

    def say(
        self,
        chat: Chat,
        dialogue: Dialogue,
        said: tuple[Event, ...],
        outcome: Outcome | None,
        effects: Effects,
        commit: TurnCommit,
        note: SpokenNote | None = None,
    ) -> None:
        """Record the turn and queue what the agent says. Without an outcome the failure is told, never silent."""
        failure = dialogue.failure
        if failure is not None and failure.ends:
            self._fail(chat, dialogue, (*said, *dialogue.metered), failure, commit)
            return
        if failure is not None:
            log.error(
                "turn.failed", conversation_id=dialogue.conversation.id, code=failure.code, reason=failure.reason
            )
            outcome = fail(Outcome(), effects, self._settings.failure_message, failure.code, failure.reason)
        assert outcome is not None  # noqa: S101 - a turn that did not fail has one
        commit.came_to = outcome.came_to
        labels = dialogue.labels
        spoken = [_written(piece, labels) for piece in (*dialogue.spoken, *outcome.spoken)]
        composed = compose(spoken, note.to_send if note else None)
        events = [_recorded(event, labels, note) for event in (*dialogue.opening, *said, *outcome.events)]
        if note is not None and note.file is not None and note.file.row is not None:
            commit.files.append(note.file.row)
        events += note.voiced if note is not None else ()
        record(chat, dialogue.conversation, commit, (*events, *dialogue.metered), composed, effects.new_id)
        if outcome.termination is not None:
            commit.record(dialogue.conversation, Ended(reason=outcome.termination))

    def cannot_open(
        self, chat: Chat, dialogue: Dialogue, inbound: Sequence[InboundMessage], commit: TurnCommit
    ) -> None:
        """Nothing here can be passed to the agent: say so politely, once in a conversation."""
        conversation = dialogue.conversation
        notes = [
            Noted(what=message.type, detail={"text": message.text, "wamid": message.wamid}) for message in inbound
        ]
        unsupported = any(message.unsupported for message in inbound)
        text = ""
        if unsupported and chat.unsupported_told_in != conversation.id:
            text = self._settings.unsupported_message
            commit.chat["unsupported_told_in"] = conversation.id
        self._tell(chat, dialogue, notes, text, "notice", commit)

    async def apologise(self, chat: Chat, said: Sequence[Event], commit: TurnCommit, reason: str) -> None:
        """A turn failed by a fault of the server: the person is told, and the conversation shows it."""
        chat = await self.close_expired(chat, commit)
        dialogue, _ = await self.enter(chat, commit)
        if dialogue is None:
            return
        commit.came_to = "failed"
        events = (*said, TurnFailed(code="server_fault", reason=reason))
        self._tell(chat, dialogue, events, self._settings.failure_message, "failure", commit)
        commit.timer_at = await self.next_deadline(chat, commit)

    async def _resume(self, chat: Chat, commit: TurnCommit, *, heard: bool) -> Dialogue:
        newest, *older = chat.open
        for conversation in older:
            commit.record(conversation, Ended(reason=SUPERSEDED))
        version = await self._version(newest, commit)
        answers = heard and newest.awaiting_first_user_message
        opening = (await self._openings.resume(chat, newest, commit.now),) if answers else ()
        started = known_from_start((*chat.journal, *opening))
        assert started is not None  # noqa: S101 - the first event of every journal
        config = configured(version, newest.initiation, chat.language_of(newest))
        return Dialogue(newest, version, config, started, chat.journal, opening)

    async def _version(self, row: Projection, commit: TurnCommit) -> AgentVersion:
        if row.version_id not in commit.versions:
            commit.versions[row.version_id] = await get_version(self._pool, row.workspace_id, row.version_id)
        return commit.versions[row.version_id]

    def held_by_human(self, chat: Chat, conversation: Projection, commit: TurnCommit) -> bool:
        """Whether a human has taken the conversation over."""
        return taken_over(chat.so_far(conversation, commit))

    def is_owed(self, chat: Chat, commit: TurnCommit) -> bool:
        """Whether the person waits for an answer that a human who has handed the chat back did not give."""
        if not chat.open:
            return False
        added = [event for owner, event in commit.events if owner == chat.open[0].id]
        turns = [event.active for event in added if isinstance(event, HumanTakeover)]
        journal = chat.so_far(chat.open[0], commit)
        return False in turns and not taken_over(journal) and awaits_answer(journal)

    def _deadline(
        self, chat: Chat, row: Projection, config: ConversationConfig, commit: TurnCommit
    ) -> Deadline | None:
        if self.held_by_human(chat, row, commit):
            return takeover_deadline(row)
        return deadline(
            row,
            max_duration_seconds=config.conversation.max_duration_seconds,
            inactivity_seconds=self._settings.inactivity_seconds,
        )

    def _tell(
        self, chat: Chat, dialogue: Dialogue, events: Sequence[Event], text: str, origin: Any, commit: TurnCommit
    ) -> None:
        """Record ``events`` and say ``text``, if there is one, in one message with what the opening says."""
        message = AgentMessage(id=new_id("msg"), text=text, origin=origin)
        labels = dialogue.labels
        spoken = (*(_written(piece, labels) for piece in dialogue.spoken), Spoken(message.id, Text(text)))
        opening = (voiced(event, labels) for event in dialogue.opening)
        added = (message,) if text else ()
        record(chat, dialogue.conversation, commit, (*opening, *events, *added), compose(spoken))

    def _fail(
        self, chat: Chat, dialogue: Dialogue, said: Sequence[Event], failure: Failure, commit: TurnCommit
    ) -> None:
        """End a conversation that can't be: its first message is not said."""
        commit.came_to = "failed"
        code, reason = failure.code, failure.reason
        log.error("conversation.failed", conversation_id=dialogue.conversation.id, code=code, reason=reason)
        opening = [event for event in dialogue.opening if not isinstance(event, AgentMessage)]
        conversation = commit.record(dialogue.conversation, *opening, *said, TurnFailed(code=code, reason=reason))
        speak(chat, conversation, commit, self._settings.failure_message, "failure")
        error = {"code": 1008, "reason": reason}
        commit.record(conversation, Ended(reason=reason, status="failed", error=error))


def _written(piece: Spoken, labels: Collection[str]) -> Spoken:
    """The labels of voices are nothing to read."""
    return replace(piece, say=Text(unlabelled(piece.say.text, labels))) if isinstance(piece.say, Text) else piece


def _recorded(event: Event, labels: Collection[str], note: SpokenNote | None) -> Event:
    """What the agent said as it could be read, and the voice note that says it."""
    event = voiced(event, labels)
    if note is None or not isinstance(event, AgentMessage) or event.id not in note.event_ids:
        return event
    return event.model_copy(update={"medium": "audio", "file_ids": (note.file.id,) if note.file else ()})
