"""Turns of a chat: the handler of the mailboxes of kind ``chat``.

A turn takes everything that waits in the chat, answers it once and commits. Fragments that arrive while the
model thinks supersede the turn (cancel, merge, run again), unless a tool has touched the world.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final, cast

import structlog

from greenline.agents.versions import to_version
from greenline.channels.orders import ITEM as ORDER
from greenline.channels.whatsapp.batch import Batch, is_plain, note_others, note_person, read_batch
from greenline.channels.whatsapp.calls.texts import feed_call
from greenline.channels.whatsapp.chat import Chat, load_chat, read_chat
from greenline.channels.whatsapp.commit import Committer, TurnCommit
from greenline.channels.whatsapp.dialogue import Dialogue
from greenline.channels.whatsapp.dialogues import Dialogues
from greenline.channels.whatsapp.graph_token import open_token
from greenline.channels.whatsapp.hearing import Hearing, as_written
from greenline.channels.whatsapp.inbound import InboundMessage, read_identity
from greenline.channels.whatsapp.operator import obey
from greenline.channels.whatsapp.people import join_with, send_on
from greenline.channels.whatsapp.presence import Presence
from greenline.channels.whatsapp.unreached import end_unreached
from greenline.channels.whatsapp.voice_notes import SpokenNote, VoiceNotes
from greenline.checkpoints import checkpoint
from greenline.clock import Clock
from greenline.engine.effects import JournaledEffects
from greenline.engine.turn import Outcome, Turn, run_turn
from greenline.llm.models import LanguageModels
from greenline.settings import Settings
from greenline.store.mailbox import Claim, Mailboxes
from greenline.store.outage import REFUSALS
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.text import clean_text
from greenline.tools.initiation_webhook import Brought

log = structlog.get_logger(__name__)

MAX_MERGES: Final = 5
"""A person who never stops typing is answered all the same: after so many merges the turn runs to its end."""


NOTHING_SAID: Final = "nothing that a conversation could begin with"


class Superseded(Exception):
    """New messages arrived before the answer: they belong to the same turn."""


class Turns:
    """Answers chats. Correct under restart at any instant: nothing is decided before `Committer.commit`."""

    def __init__(
        self,
        *,
        pool: Pool,
        mailboxes: Mailboxes,
        committer: Committer,
        dialogues: Dialogues,
        hearing: Hearing,
        voice_notes: VoiceNotes,
        presence: Presence,
        vault: Vault,
        models: LanguageModels,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._pool = pool
        self._mailboxes = mailboxes
        self._committer = committer
        self._dialogues = dialogues
        self._hearing = hearing
        self._voice_notes = voice_notes
        self._presence = presence
        self._vault = vault
        self._models = models
        self._clock = clock
        self._settings = settings

    async def handle(self, claim: Claim) -> None:
        """Answer what waits, end what has run out, and commit it in one transaction."""
        checkpoint("turn.claimed")
        if self._settings.merge_wait_seconds and claim.items and not claim.steps:
            await self._clock.sleep(self._settings.merge_wait_seconds)
            await self._mailboxes.look_again(claim)
            claim.context = None
        brought: dict[str, Brought] = {}
        for merges in range(MAX_MERGES + 1):
            try:
                commit = await self._turn(claim, brought, may_merge=merges < MAX_MERGES)
            except Superseded:
                log.info("turn.superseded", items=len(claim.items))
                await self._mailboxes.drop_steps(claim)
                claim.steps = ()
            else:
                await self._committer.commit(commit)
                return

    async def give_up(self, claim: Claim, error: BaseException) -> None:
        """After the last attempt: the events are done with their error, the person is told, the operator sees it."""
        batch = read_batch(claim)
        items = (*(item for item, _ in batch.messages), *batch.others)
        failed: dict[int, str | None] = {item.id: clean_text(f"{type(error).__name__}: {error}") for item in items}
        chat = await load_chat(self._pool, claim.workspace_id, claim.mailbox_id)
        commit = await self._last_words(claim, chat, batch, failed, clean_text(str(error)))
        try:
            await self._committer.commit(commit)
        except REFUSALS:  # by what the apology has read anew; without it nothing is left to refuse
            log.exception("turn.not_apologised", error=str(error))
            timer_at, came_to = commit.timer_at, commit.came_to
            await self._committer.commit(
                TurnCommit(claim, commit.now, timer_at=timer_at, done=failed, came_to=came_to)
            )

    async def _last_words(
        self, claim: Claim, chat: Chat | None, batch: Batch, failed: dict[int, str | None], reason: str
    ) -> TurnCommit:
        """The end of a turn that is given up. What came beside the messages may be what nobody can apologise with."""
        commit = TurnCommit(claim, self._clock.now(), done=dict(failed))
        try:
            if chat is not None:
                await self._apologise(chat, batch, commit, reason)
        except Exception:  # the boundary of an apology: the turn ends all the same
            log.exception("turn.not_apologised", error=reason, beside=len(batch.others))
            if batch.others:
                return await self._last_words(claim, chat, replace(batch, others=()), failed, reason)
        return commit

    async def _apologise(self, chat: Chat, batch: Batch, commit: TurnCommit, reason: str) -> None:
        """Tell the person, if they wrote. What came beside it, such as an operator's order, holds all the same."""
        note_others(batch.others, commit)
        chat = obey(chat, batch.others, commit)
        if batch.messages:
            inbound = [message for _, message in batch.messages]
            note_person(chat, inbound, commit)
            said = tuple(as_written(message, commit.now) for message in inbound)
            await self._dialogues.apologise(chat, said, commit, reason)

    async def _turn(self, claim: Claim, brought: dict[str, Brought], *, may_merge: bool) -> TurnCommit:
        commit = TurnCommit(claim, self._clock.now(), brought=brought)
        batch = read_batch(claim)
        chat = await self._chat(claim)
        if chat is None:
            for item in claim.items:
                commit.done[item.id] = "the account was removed"
            return commit
        if chat.joined_to is not None:
            await send_on(self._pool, claim, chat.joined_to, commit.now)
            return commit
        chat = await self._joined(chat, batch, commit)
        if not claim.steps and await end_unreached(self._pool, chat, commit):
            commit.timer_at = commit.now  # what waits belongs to another conversation, which is read then
            return commit
        commit.person = chat.person
        if chat.version is not None:
            version = await to_version(self._pool, chat.workspace_id, chat.version)
            commit.versions[version.id] = version
        note_others(batch.others, commit)
        chat = await self._dialogues.close_expired(chat, commit)
        chat = obey(chat, batch.others, commit)
        is_humans = bool(chat.open) and self._dialogues.held_by_human(chat, chat.open[0], commit)
        if chat.call_mailbox_id is not None and not claim.steps and not is_humans:
            batch = await self._feed_call(chat, chat.call_mailbox_id, batch, commit)
        if batch.messages or self._dialogues.is_owed(chat, commit):
            await self._answer(chat, batch, commit, may_merge=may_merge)
        commit.timer_at = commit.now if batch.leaves_more else await self._dialogues.next_deadline(chat, commit)
        return commit

    async def _chat(self, claim: Claim) -> Chat | None:
        """The chat as it was claimed; once a turn was superseded, as it is now."""
        data, claim.context = claim.context, None
        return read_chat(data) if data else await load_chat(self._pool, claim.workspace_id, claim.mailbox_id)

    async def _joined(self, chat: Chat, batch: Batch, commit: TurnCommit) -> Chat:
        """The chat with what was in others that turn out to be with the same person."""
        workspace_id, number, joined = chat.workspace_id, chat.phone_number_id, False
        ids = {(message.wa_id, message.bsuid, message.changed_at) for _, message in batch.messages}
        ids |= {(None, read_identity(item.payload), None) for item in batch.others if item.kind == "identity"}
        for wa_id, bsuid, since in ids:
            if wa_id in (None, chat.wa_id) and bsuid in (None, chat.bsuid):
                continue
            place = (workspace_id, number, chat.id)
            joined |= await join_with(self._pool, *place, wa_id=wa_id, bsuid=bsuid, now=commit.now, since=since)
        return (await load_chat(self._pool, workspace_id, chat.id) if joined else None) or chat

    async def _feed_call(self, chat: Chat, call_mailbox_id: str, batch: Batch, commit: TurnCommit) -> Batch:
        """What is written during a call is said in it; files and voice notes are answered here all the same."""
        said = [(item, message) for item, message in batch.messages if is_plain(message)]
        ids = [item.id for item, _ in said]
        gone = await feed_call(self._pool, chat.workspace_id, chat.id, call_mailbox_id, ids, commit.now)
        note_person(chat, [message for item, message in said if item.id in gone], commit)
        return replace(batch, messages=tuple(pair for pair in batch.messages if pair[0].id not in gone))

    async def _answer(self, chat: Chat, batch: Batch, commit: TurnCommit, *, may_merge: bool) -> None:
        inbound = [message for _, message in batch.messages]
        note_person(chat, inbound, commit)
        dialogue, silence = None, cast("str | None", NOTHING_SAID)
        said_something = not all(message.silent for message in inbound)
        if chat.open or said_something:
            dialogue, silence = await self._dialogues.enter(chat, commit, heard=said_something)
        for item, _ in batch.messages:
            commit.done[item.id] = silence
        if dialogue is None:
            log.info("turn.silent", reason=silence)
            return
        if self._dialogues.held_by_human(chat, dialogue.conversation, commit):
            said = await self._hearing.hear(chat, dialogue, inbound, commit)
            commit.record(dialogue.conversation, *dialogue.opening, *said, *dialogue.metered)
            return
        heard = [message for message in inbound if not message.unsupported and not message.silent]
        if inbound and not heard:
            self._dialogues.cannot_open(chat, dialogue, inbound, commit)
            return
        effects = JournaledEffects(self._mailboxes, commit.claim, self._models, self._clock, batch.inputs)
        async with self._typing(chat, heard[-1] if heard else None):
            said = await self._hearing.hear(chat, dialogue, inbound, commit)
            # Who speaks is answered by voice, if the number's switch allows it.
            aloud = chat.enable_audio_message_response and any(message.is_voice_note for message in heard)
            turn = await self._dialogues.turn(dialogue, said, aloud=aloud)
            outcome = await self._run(turn, effects, commit.claim, may_merge=may_merge) if turn else None
            note = await self._speak(chat, dialogue, outcome) if outcome and aloud else None
        checkpoint("turn.replied")
        self._dialogues.say(chat, dialogue, said, outcome, effects, commit, note)

    async def _speak(self, chat: Chat, dialogue: Dialogue, outcome: Outcome) -> SpokenNote | None:
        spoken = (*dialogue.spoken, *outcome.spoken)
        return await self._voice_notes.speak(
            chat,
            dialogue.conversation.id,
            dialogue.config,
            spoken,
            labels=dialogue.labels,
            usage=dialogue.usage,
            may_keep=dialogue.keeps_voice,
        )

    @contextlib.asynccontextmanager
    async def _typing(self, chat: Chat, message: InboundMessage | None) -> AsyncIterator[None]:
        if not chat.enable_typing_indicator or message is None or message.wamid is None:
            yield
            return
        token = open_token(self._vault, chat.workspace_id, chat.phone_number_id, chat.sealed_token)
        number, wamid = chat.phone_number_id, message.wamid
        async with self._presence.typing(chat.id, phone_number_id=number, token=token, wamid=wamid):
            yield

    async def _run(self, turn: Turn, effects: JournaledEffects, claim: Claim, *, may_merge: bool) -> Outcome:
        task = asyncio.create_task(run_turn(turn, effects))
        try:
            while may_merge and not effects.touched_world:
                arrival = asyncio.create_task(claim.arrived.wait())
                try:
                    await asyncio.wait({task, arrival}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    arrival.cancel()
                if task.done() or effects.touched_world:
                    break
                if await self._has_news(claim) and not effects.touched_world:  # it may have begun meanwhile
                    raise Superseded
            return await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)  # its error is told by what is raised here

    async def _has_news(self, claim: Claim) -> bool:
        """Whether the person wrote more, or an operator ordered something that may silence the agent."""
        before = {item.id for item in claim.items}
        await self._mailboxes.look_again(claim)
        return any(item.kind in ("message", ORDER) and item.id not in before for item in claim.items)
