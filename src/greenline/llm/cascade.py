"""The cascade: the next model takes over within one turn when one fails (reference: LLM cascading).

- The order is the requested model, then the backups of the agent, or the server's own. A model that is served by
  the same endpoint under the same name as an earlier one is left out.
- A model has failed when its endpoint reports an error, when the first token is late, or when the answer is empty.
- There are at least three attempts: the models are tried again in their order, except those whose failure would
  only repeat itself (a wrong key, a refused request). So an agent without backups asks its one model again.
- A custom LLM is asked again, never replaced: its owner chose where the conversation goes.
- What was given out can't be taken back: a stream that has begun is never continued by another model.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from greenline.llm.errors import AllModelsFailed, ModelError
from greenline.llm.models import Attempt, Cascade, ModelReply, ModelRequest, Provider, StreamEvent, TextDelta
from greenline.reader import Reader

log = structlog.get_logger(__name__)

LEAST_ATTEMPTS: Final = 3
"""Reference: at least three attempts; earlier models may be tried again."""
PAUSE_SECONDS: Final = 0.25
"""Before a model is asked again, doubled each time: an overloaded endpoint is not helped by haste."""
CUSTOM: Final = "custom-llm"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a reference model name leads: a provider, the name of the model there, and the name to report.

    ``context`` is how many tokens the model reads at most, where that is known.
    """

    provider: Provider
    model: str
    name: str
    context: int | None = None


Resolve = Callable[[str, ModelRequest], Endpoint]


class Models:
    """The models of a server (the `LanguageModels` of the engine)."""

    def __init__(
        self, resolve: Resolve, backups: Sequence[str], *, seconds: float, pause: float = PAUSE_SECONDS
    ) -> None:
        """``resolve`` finds the endpoint of a name, or raises `ModelError`; ``backups`` take over by default.

        ``seconds`` is the limit of one whole call, all attempts together.
        """
        self._resolve = resolve
        self._backups = tuple(backups)
        self._seconds = seconds
        self._pause = pause

    async def complete(self, request: ModelRequest) -> ModelReply:
        """One whole reply. Nothing is given out before it is whole, so each model has its full chance.

        Raises `AllModelsFailed`.
        """
        async with contextlib.aclosing(self._run(request, gives_out=False)) as events:
            async for event in events:
                if isinstance(event, ModelReply):
                    return event
        raise AllModelsFailed(())

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        """As `complete`, in pieces. Once text has been given out, the cascade does not switch any more."""
        async with contextlib.aclosing(self._run(request, gives_out=True)) as events:
            async for event in events:
                yield event

    async def _run(self, request: ModelRequest, *, gives_out: bool) -> AsyncGenerator[StreamEvent, None]:
        course = _Course(self._candidates(request))
        now = _now()
        start = self._seconds if request.cascade.start is None else min(request.cascade.start, self._seconds)
        limits = _Limits(request.cascade, now + start, now + self._seconds)
        for model in course:
            await self._wait_before(course.tries(model), limits.begun_by)
            begun = _now()
            given_out = False
            try:
                async with contextlib.aclosing(self._attempt(request, model, limits)) as events:
                    async for event in events:
                        if isinstance(event, ModelReply):
                            yield replace(event, attempts=tuple(course.attempts))
                            return
                        if gives_out and event.text:
                            given_out = given_out or isinstance(event, TextDelta)
                            yield event
                raise ModelError("empty", "the answer never ended")
            except ModelError as error:
                course.note(model, error, _now() - begun)
                if given_out or _now() >= limits.begun_by:
                    break
        raise AllModelsFailed(course.attempts)

    def _candidates(self, request: ModelRequest) -> list[str]:
        if request.model == CUSTOM:
            return [CUSTOM]
        backups = self._backups if request.cascade.backups is None else request.cascade.backups
        places: dict[object, str] = {}
        for name in dict.fromkeys((request.model, *backups)):
            try:
                endpoint = self._resolve(name, request)
            except ModelError:
                places[name] = name  # its attempt fails and says why
            else:
                places.setdefault((id(endpoint.provider), endpoint.model), name)
        return list(places.values())

    async def _wait_before(self, earlier_tries: int, deadline: float) -> None:
        if earlier_tries:
            pause = self._pause * 2 ** (earlier_tries - 1)
            await asyncio.sleep(max(0.0, min(pause, deadline - _now())))

    async def _attempt(self, request: ModelRequest, model: str, limits: _Limits) -> AsyncGenerator[StreamEvent, None]:
        endpoint = self._resolve(model, request)
        stream = endpoint.provider.stream(replace(request, model=model), endpoint.model)
        alive = False
        async with contextlib.aclosing(Reader(stream, f"model {endpoint.name}")) as events:
            while True:
                limit = limits.next(alive=alive)
                try:
                    async with asyncio.timeout(limit):
                        event = await anext(events)
                except StopAsyncIteration:
                    return
                except TimeoutError as error:
                    what = "the answer did not go on" if alive else "no first token"
                    raise ModelError("timeout", f"{what} in {limit:.1f} s") from error
                alive = True
                if isinstance(event, ModelReply):
                    # Only an agent's own model may speak to its client.
                    metadata = event.metadata if model == CUSTOM else {}
                    event = replace(event, model=endpoint.name, context=endpoint.context, metadata=metadata)
                yield event


def _now() -> float:
    """By the clock of the waits."""
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class _Limits:
    """How long is waited. A call has to have begun, and to be over, by moments of the event loop's clock."""

    cascade: Cascade
    begun_by: float
    over_by: float

    def next(self, *, alive: bool) -> float:
        """Seconds for the next event of an attempt, which is the first or, where it is ``alive``, a further one."""
        most = self.cascade.stall if alive else self.cascade.timeout
        left = max(0.0, (self.over_by if alive else self.begun_by) - _now())
        return left if most is None else min(most, left)


@dataclass(slots=True)
class _Course:
    """Who is asked next, and what came of the others."""

    models: list[str]
    attempts: list[Attempt] = field(default_factory=list)
    _hopeless: set[str] = field(default_factory=set)

    def __iter__(self) -> Iterator[str]:
        yield from self.models
        while len(self.attempts) < LEAST_ATTEMPTS:
            hopeful = [model for model in self.models if model not in self._hopeless]
            if not hopeful:
                return
            yield from hopeful[: LEAST_ATTEMPTS - len(self.attempts)]

    def tries(self, model: str) -> int:
        """How often ``model`` was asked already."""
        return sum(attempt.model == model for attempt in self.attempts)

    def note(self, model: str, error: ModelError, seconds: float) -> None:
        """Keep a failure."""
        self.attempts.append(Attempt(model, str(error), seconds))
        if not error.retryable:
            self._hopeless.add(model)
        log.warning("model.failed", model=model, kind=error.kind, error=str(error))
