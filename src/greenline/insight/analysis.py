"""After a conversation has ended: its title and summary, for people and for the next conversation of the thread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import structlog

from greenline.agents.service import get_version
from greenline.clock import Clock
from greenline.conversations.events import Event, Summarised, UserMessage, dump_event
from greenline.conversations.heard import Heard
from greenline.conversations.journal import read_event
from greenline.errors import NotFound
from greenline.llm.errors import AllModelsFailed
from greenline.llm.models import LanguageModels, Message, ModelRequest, TextPart
from greenline.store.mailbox import Claim
from greenline.store.pool import Pool
from greenline.store.sql import load_sql
from greenline.text import clean_text

log = structlog.get_logger(__name__)

KIND: Final = "analysis"
INSTRUCTION: Final = (
    "You read a conversation between a person and a business's agent. Answer in the language of the conversation, in "
    "exactly two lines:\nTitle: what it was about, in at most eight words\nSummary: what the person wanted, what was "
    "agreed and what is open, in at most three sentences"
)
EXCERPT: Final = 12_000
"""Characters of the transcript that the model reads: the end of a very long one."""

_sql = load_sql(__package__, "analysis.sql")
_MARK: Final = re.compile(r"^[^\w\n]*(title|summary):", re.I | re.M)


class Analysis:
    """The handler of the mailboxes of kind ``analysis`` (their id is ``analysis:<conversation id>``)."""

    def __init__(self, pool: Pool, models: LanguageModels, clock: Clock) -> None:
        self._pool = pool
        self._models = models
        self._clock = clock

    async def handle(self, claim: Claim) -> None:
        """Summarise the conversation and call it done."""
        conversation_id = claim.mailbox_id.removeprefix(f"{KIND}:")
        row = await self._pool.fetchrow(_sql["journal"], claim.workspace_id, conversation_id)
        summary = None
        if row is not None and row["status"] == "processing":
            read = (read_event(entry["kind"], entry["data"]) for entry in row["journal"] or ())
            spoken = [event for event in read if event is not None]
            model = await self._model(claim.workspace_id, row["version_id"])
            summary = await summarise(self._models, model, spoken)
        await self._finish(claim, conversation_id, summary)

    async def give_up(self, claim: Claim, error: BaseException) -> None:
        """The conversation is done without a summary; the error is in the log."""
        await self._finish(claim, claim.mailbox_id.removeprefix(f"{KIND}:"), None)

    async def _model(self, workspace_id: str, version_id: str) -> str:
        try:
            version = await get_version(self._pool, workspace_id, version_id)
        except NotFound:  # the agent was deleted meanwhile
            return "offline"
        return version.platform_settings.analysis_llm

    async def _finish(self, claim: Claim, conversation_id: str, summary: Summarised | None) -> None:
        data = dump_event(summary) if summary else None
        await self._pool.execute(
            _sql["finish"],
            claim.workspace_id,
            conversation_id,
            claim.mailbox_id,
            data,
            claim.epoch,
            self._clock.now(),
        )


async def summarise(models: LanguageModels, model: str, events: Sequence[Event]) -> Summarised | None:
    """Title and summary of what was said and heard; None when the person said nothing.

    Where no model answers, or not in the form asked for, both are taken from the words themselves.
    """
    heard = Heard(events)
    lines = [(event, text) for event in events if (text := heard.text(event))]
    asked = [text for event, text in lines if isinstance(event, UserMessage)]
    if not asked:
        return None
    transcript = "\n".join(
        f"{'Person' if isinstance(event, UserMessage) else 'Agent'}: {text}" for event, text in lines
    )
    request = ModelRequest(
        model=model,
        messages=(
            Message("system", (TextPart(INSTRUCTION),)),
            Message("user", (TextPart(transcript[-EXCERPT:]),)),
        ),
        temperature=0.0,
    )
    try:
        reply = await models.complete(request)
    except AllModelsFailed as error:
        log.warning("analysis.no_model", error=str(error))
        return _extract(asked, lines[-1][1])
    found = _read(clean_text(reply.text))
    if found is None:
        return _extract(asked, lines[-1][1])
    title, summary = found
    return Summarised(title=_cut(title, 120), summary=_cut(summary, 1000), model=reply.model)


def _read(answer: str) -> tuple[str, str] | None:
    """Title and summary, if the answer is in the form asked for.

    Mark by mark: a pattern for all of it tries every line break with every other, and the event loop stands still.
    """
    marks = list(_MARK.finditer(answer))
    title = next((mark for mark in marks if mark[1].lower() == "title"), None)
    after = (mark for mark in marks if title is not None and mark.start() > title.start())
    summary = next((mark for mark in after if mark[1].lower() == "summary"), None)
    if title is None or summary is None:
        return None
    named, told = answer[title.end() : summary.start()].strip(), answer[summary.end() :].strip()
    return (named.splitlines()[0], told) if named and told else None


def _extract(asked: Sequence[str], last: str) -> Summarised:
    summary = f"The person wrote: {'; '.join(_cut(text, 200) for text in asked[:3])}. Last said: {_cut(last, 300)}"
    return Summarised(title=_cut(asked[0], 60), summary=_cut(summary, 1000), model="extract")


def _cut(text: str, limit: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
