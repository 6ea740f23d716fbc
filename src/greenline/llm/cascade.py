"""The cascade: the next model takes over within one turn when one fails (reference: LLM cascading)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from greenline.llm.errors import AllModelsFailed, ModelError
from greenline.llm.models import Attempt, ModelReply, ModelRequest, Provider, StreamEvent, TextDelta

log = structlog.get_logger(__name__)

LEAST_ATTEMPTS: Final = 3
"""Reference: at least three attempts; earlier models may be tried again."""
CUSTOM: Final = "custom-llm"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a reference model name leads: a provider, the name of the model there, and the name to report."""

    provider: Provider
    model: str
    name: str


Resolve = Callable[[str, ModelRequest], Endpoint]


class Models:
    """The models of a server (the `LanguageModels` of the engine).

    ``resolve`` finds the endpoint of a reference name and raises `ModelError` for one that can't be had;
    ``backups`` are the names that take over by default.
    """

    def __init__(self, resolve: Resolve, backups: Sequence[str], *, seconds: float) -> None:
        self._resolve = resolve
        self._backups = tuple(backups)
        self._seconds = seconds

    async def complete(self, request: ModelRequest) -> ModelReply:
        """One whole reply. Raises `AllModelsFailed`."""
        async with contextlib.aclosing(self.stream(request)) as events:
            async for event in events:
                if isinstance(event, ModelReply):
                    return event
        raise AllModelsFailed(())

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        """As `complete`, in pieces. Once a piece has been given out, the cascade does not switch any more."""
        attempts: list[Attempt] = []
        deadline = time.monotonic() + self._seconds
        for model in self._order(request):
            begun = time.monotonic()
            spoken = False
            try:
                async with contextlib.aclosing(self._attempt(request, model, deadline)) as events:
                    async for event in events:
                        spoken = spoken or isinstance(event, TextDelta)
                        yield replace(event, attempts=tuple(attempts)) if isinstance(event, ModelReply) else event
                return
            except ModelError as error:
                attempts.append(Attempt(model, str(error), time.monotonic() - begun))
                log.warning("model.failed", model=model, error=str(error))
                if spoken or time.monotonic() >= deadline:
                    break
        raise AllModelsFailed(attempts)

    def _order(self, request: ModelRequest) -> list[str]:
        backups = () if request.model == CUSTOM else request.cascade.backups
        if backups is None:
            backups = self._backups
        order = [request.model, *(name for name in backups if name != request.model)]
        if request.cascade.backups == () and request.model != CUSTOM:
            return order
        while len(order) < LEAST_ATTEMPTS:
            order.extend(order[: LEAST_ATTEMPTS - len(order)])
        return order

    async def _attempt(self, request: ModelRequest, model: str, deadline: float) -> AsyncGenerator[StreamEvent, None]:
        endpoint = self._resolve(model, request)
        events = aiter(endpoint.provider.stream(replace(request, model=model), endpoint.model))
        seconds = request.cascade.timeout
        try:
            while True:
                seconds = min(seconds, max(0.0, deadline - time.monotonic()))
                try:
                    event = await asyncio.wait_for(anext(events), seconds)
                except StopAsyncIteration:
                    return
                except TimeoutError as error:
                    raise ModelError("timeout", f"nothing more came in {seconds:.1f} s") from error
                yield replace(event, model=endpoint.name) if isinstance(event, ModelReply) else event
                seconds = self._seconds
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()
