"""What bridges a slow model (reference: soft timeout): words beside the answer, fixed ones or those of a model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

import structlog

from greenline.agents.config.turn import SoftTimeoutConfig
from greenline.channels.live.answer import Answer
from greenline.channels.live.timers import Timers
from greenline.conversations.events import Noted
from greenline.engine.prompt import messages
from greenline.engine.turn import Turn
from greenline.engine.usage import usage_of
from greenline.llm.errors import AllModelsFailed
from greenline.llm.models import LanguageModels, Message, ModelRequest, TextPart
from greenline.text import clean_text

log = structlog.get_logger(__name__)

PROMPT: Final = (
    "You bridge the seconds in which an agent on the telephone thinks about its answer. Say one short sentence of at "
    "most eight words, in the language of the conversation, that fits what the person said last. Answer nothing, "
    "promise nothing, ask nothing."
)
KNOWN_EVENTS: Final = 4
"""How much of the conversation a bridging sentence has to fit."""
MOST_TOKENS: Final = 40
MOST_CHARACTERS: Final = 200
"""As of the fixed ones (reference)."""
_SOFT: Final = "soft"


class Fillers:
    """Those of one conversation. ``spawn`` runs something beside it, ``record`` adds to its journal."""

    def __init__(
        self,
        config: SoftTimeoutConfig,
        timers: Timers,
        models: LanguageModels,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        record: Callable[[Noted], None],
    ) -> None:
        self._config = config
        self._timers = timers
        self._models = models
        self._spawn = spawn
        self._record = record
        self._answer: Answer | None = None
        self._words: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    def use(self, config: SoftTimeoutConfig) -> None:
        """From the next turn on."""
        self._config = config

    def begin(self, answer: Answer, *, early: bool) -> None:
        """Bridge ``answer`` from now on, until it has words; ``early`` tells that the person has said nothing yet."""
        soft = self._config
        if answer.utterance is None or soft.timeout_seconds <= 0 or (soft.disable_until_first_user_message and early):
            return
        words = [soft.message, *soft.additional_soft_timeout_messages]
        if soft.randomize_fillers:
            random.shuffle(words)
        self._answer, self._words = answer, words[: soft.max_soft_timeouts_per_generation]
        if answer.committed.is_set():
            self._wait()
        else:
            self._tasks.append(self._spawn(self._wait_once_committed(answer)))

    def write(self, turn: Turn) -> None:
        """Have the first words written for this turn, where the agent wants that; those that are fixed stand in."""
        if self._answer is not None and self._words and self._config.use_llm_generated_message:
            self._tasks.append(self._spawn(self._write(self._answer, self._request(turn))))

    def stop(self) -> None:
        """There is nothing to bridge any more."""
        self._answer = None
        self._timers.stop(_SOFT)
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    async def _wait_once_committed(self, answer: Answer) -> None:
        """Who still speaks waits for nothing."""
        await answer.committed.wait()
        self._wait()

    def _wait(self) -> None:
        if self._words:
            self._timers.set(_SOFT, self._config.timeout_seconds, self._say)

    def _say(self) -> None:
        answer = self._answer
        if answer is not None and answer.utterance is not None and not answer.begun:
            words = self._words.pop(0)
            answer.utterance.interject(words)
            self._record(Noted(what="soft_timeout", detail={"text": words}))
            self._wait()

    def _request(self, turn: Turn) -> ModelRequest:
        prompt = self._config.llm_generated_message_prompt_override or PROMPT
        return replace(
            turn.request,
            messages=(Message("system", (TextPart(prompt),)), *messages(turn.journal[-KNOWN_EVENTS:], turn.files)),
            tools=(),
            max_tokens=MOST_TOKENS,
        )

    async def _write(self, answer: Answer, request: ModelRequest) -> None:
        await answer.committed.wait()  # a guess is not worth it
        untouched = list(self._words)
        try:
            reply = await self._models.complete(request)
        except AllModelsFailed as error:
            log.warning("filler.not_written", error=str(error))
            return
        words = clean_text(reply.text).strip()[:MOST_CHARACTERS]
        self._record(Noted(what="filler_written", detail={"text": words}, model=reply.model, usage=usage_of(reply)))
        if words and self._answer is answer and self._words == untouched:
            self._words[0] = words
