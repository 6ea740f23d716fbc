"""Why a live conversation ends of itself: it lasts too long, nobody speaks, or it can't be written down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog

from greenline.channels.live.conversation import Conversation
from greenline.channels.live.floor import Floor
from greenline.channels.live.journal import JournalUnwritten, LiveJournal
from greenline.channels.live.means import Means
from greenline.channels.live.models import CODE_CRASH, CODE_NORMAL, SessionEnded
from greenline.channels.metering import speech_used
from greenline.conversations.events import Ended, Event
from greenline.conversations.lifecycle import MAX_DURATION
from greenline.errors import where
from greenline.speech.usage import SpeechUsage
from greenline.store.mailbox import LeaseLost

log = structlog.get_logger(__name__)

LAST_WORDS_SECONDS: Final = 30.0
TOO_LONG: Final = SessionEnded(CODE_NORMAL, MAX_DURATION, "max_duration_exceeded")
SILENCE: Final = SessionEnded(CODE_NORMAL, "Silence")
CUT_SHORT: Final = SessionEnded(CODE_NORMAL, "The conversation was cut short.")
TAKEN_OVER: Final = SessionEnded(
    CODE_CRASH, "Another server has taken the conversation over, or it was deleted.", "websocket_disconnect"
)
UNWRITTEN: Final = SessionEnded(CODE_CRASH, "The conversation could not be written down.", "unknown")


class Ending:
    """Ends one conversation, once the agent has said its last words."""

    def __init__(self, means: Means, conversation: Conversation, floor: Floor, journal: LiveJournal) -> None:
        self._means = means
        self._conversation = conversation
        self._floor = floor
        self._journal = journal

    def too_long(self) -> None:
        """It has lasted as long as it may."""
        farewell = self._means.config.agent.max_conversation_duration_message
        if farewell:
            self._floor.say(farewell, "closing")
        self._conversation.spawn(self._after_words(TOO_LONG))

    def too_silent(self) -> asyncio.Task[None]:
        """The person has said nothing for too long; the task waits for what the agent says into that."""
        return self._conversation.spawn(self._after_words(SILENCE))

    async def watch_journal(self) -> None:
        """End it once its journal can't be written any more."""
        await self._journal.broken.wait()
        ended = UNWRITTEN
        try:
            await self._journal.flush()
        except LeaseLost:
            self._conversation.end(TAKEN_OVER)
            return
        except JournalUnwritten as error:
            log.error("live.unwritten", conversation_id=self._conversation.id, error=str(error))
            ended = replace(UNWRITTEN, debug=where(error))
        if self._means.settings.failure_message:
            self._floor.say(self._means.settings.failure_message, "failure")
        await self._after_words(ended)

    async def _after_words(self, ended: SessionEnded) -> None:
        await self._floor.quiet(LAST_WORDS_SECONDS)
        self._conversation.end(ended)


def last_events(ended: SessionEnded, speech: SpeechUsage | None) -> Sequence[Event]:
    """What the journal holds at its end; ``speech`` is what was heard and spoken in a conversation by voice."""
    failed = ended.code != CODE_NORMAL
    error = {"code": ended.code, "reason": ended.reason} if failed else None
    over = Ended(reason=ended.reason, status="failed" if failed else "done", error=error)
    return (over,) if speech is None else (speech_used(speech), over)
