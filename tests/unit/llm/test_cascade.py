"""Who takes over, when, and how often."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.llm.cascade import LEAST_ATTEMPTS, Endpoint, Models
from greenline.llm.errors import LASTING, AllModelsFailed, Kind, ModelError
from greenline.llm.models import (
    Cascade,
    Message,
    ModelReply,
    ModelRequest,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    TextPart,
)
from greenline.reader import CLOSE_SECONDS
from support.virtual_time import in_virtual_time, virtual_loop
from support.wait import eventually

Outcome: TypeAlias = Kind | None
"""How a model fails, or that it answers."""
KINDS = get_args(Kind)
ASKED = ModelRequest("first", (Message("user", (TextPart("Hello"),)),), cascade=Cascade(None, 4.0))


@dataclass
class Stand:
    """A provider whose models answer, fail, or fall silent as a test says."""

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    speaks_before: set[str] = field(default_factory=set)
    thinks: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(self, request: ModelRequest, model: str) -> AsyncGenerator[StreamEvent, None]:
        self.asked.append(model)
        self.begun.set()
        try:
            if model in self.thinks:
                yield ReasoningDelta("Hm")
            if model in self.speaks_before:
                yield TextDelta("Well, ")
            if model in self.silent:
                await asyncio.Event().wait()
            outcomes = self.outcomes.get(model, [])
            outcome = outcomes.pop(0) if len(outcomes) > 1 else (outcomes[0] if outcomes else None)
            if outcome is not None:
                raise ModelError(outcome, "as the test says")
            yield TextDelta("")
            yield TextDelta(f"I am {model}")
            yield ModelReply(request.model, f"I am {model}")
        finally:
            self.closed.append(model)


def models(stand: Stand, backups: tuple[str, ...] = ("second", "third"), **more: float) -> Models:
    def resolve(name: str, request: ModelRequest) -> Endpoint:
        if name == "nowhere":
            raise ModelError("configuration", "it has no endpoint")
        return Endpoint(stand, name.removeprefix("same-as-"), name)

    return Models(resolve, backups, seconds=more.get("seconds", 60.0), pause=0.0)


async def failure(made: Models, request: ModelRequest = ASKED) -> AllModelsFailed:
    with pytest.raises(AllModelsFailed) as caught:
        await made.complete(request)
    return caught.value


async def test_the_first_model_answers() -> None:
    stand = Stand()
    reply = await models(stand).complete(ASKED)
    assert (reply.model, reply.text, reply.attempts) == ("first", "I am first", ())
    assert stand.asked == stand.closed == ["first"]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_next_takes_over_and_the_reply_tells_why(kind: Kind) -> None:
    stand = Stand({"first": [kind]})
    reply = await models(stand).complete(ASKED)
    assert reply.model == "second"
    (attempt,) = reply.attempts
    assert attempt.model == "first"
    assert attempt.error == f"{kind}: as the test says"


@in_virtual_time
async def test_the_next_takes_over_when_the_first_token_is_late() -> None:
    stand = Stand(silent={"first"})
    reply = await models(stand).complete(ASKED)
    assert reply.model == "second"
    assert "no first token" in reply.attempts[0].error
    assert stand.closed[0] == "first"


@in_virtual_time
async def test_a_model_that_has_begun_may_take_its_time() -> None:
    """Only the first token has the cascade's limit: a long answer, or a long tool call, is no late one."""

    class Slow(Stand):
        async def stream(self, request: ModelRequest, model: str) -> AsyncGenerator[StreamEvent, None]:
            yield TextDelta("")
            await asyncio.sleep(15.0)
            yield ModelReply(request.model, "At last")

    reply = await models(Slow()).complete(ASKED)
    assert (reply.text, reply.attempts) == ("At last", ())


@in_virtual_time
async def test_a_model_that_stalls_is_given_up_where_somebody_listens() -> None:
    stand = Stand(silent={"first"}, speaks_before={"first"})
    request = replace(ASKED, cascade=Cascade(None, 4.0, stall=2.0))
    stream = models(stand).stream(request)
    assert await anext(stream) == TextDelta("Well, ")
    with pytest.raises(AllModelsFailed) as caught:
        await anext(stream)
    assert "the answer did not go on in 2.0 s" in caught.value.attempts[0].error
    assert stand.closed == ["first"]


@in_virtual_time
async def test_a_model_that_can_not_be_stopped_holds_nobody() -> None:
    """A client library may lose a cancellation, or wait for ever for its connection to close."""

    class Stubborn(Stand):
        released = asyncio.Event()

        async def stream(self, request: ModelRequest, model: str) -> AsyncGenerator[StreamEvent, None]:
            while model == "first" and not self.released.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await self.released.wait()
            yield ModelReply(request.model, f"I am {model}")

    stand, begun = Stubborn(), virtual_loop().time()
    reply = await models(stand).complete(ASKED)
    assert (reply.model, len(reply.attempts)) == ("second", 1)
    assert virtual_loop().time() - begun == pytest.approx(4.0 + CLOSE_SECONDS, abs=0.1)
    stand.released.set()


@in_virtual_time
async def test_the_attempts_to_begin_have_a_limit_together() -> None:
    stand = Stand(silent={"first", "second", "third"})
    failed = await failure(models(stand), replace(ASKED, cascade=Cascade(None, timeout=30.0, start=5.0)))
    assert "no first token" in failed.attempts[0].error
    assert stand.asked == ["first"]


@in_virtual_time
async def test_the_whole_call_has_a_limit() -> None:
    stand = Stand(silent={"first", "second", "third"}, speaks_before={"first"})
    failed = await failure(models(stand, seconds=30.0))
    assert "the answer did not go on" in failed.attempts[0].error
    assert stand.asked == ["first"]


async def test_a_whole_reply_may_come_from_the_next_model_though_the_first_had_begun() -> None:
    stand = Stand({"first": ["connection"]}, speaks_before={"first"})
    assert (await models(stand).complete(ASKED)).text == "I am second"


async def test_a_stream_that_has_begun_is_not_continued_by_another() -> None:
    stand = Stand({"first": ["connection"]}, speaks_before={"first"})
    stream = models(stand).stream(ASKED)
    assert await anext(stream) == TextDelta("Well, ")
    with pytest.raises(AllModelsFailed):
        await anext(stream)
    assert stand.asked == ["first"]


async def test_a_model_that_has_only_thought_aloud_is_taken_over() -> None:
    stand = Stand({"first": ["overloaded"]}, thinks={"first"})
    events = [event async for event in models(stand).stream(ASKED)]
    assert events[:2] == [ReasoningDelta("Hm"), TextDelta("I am second")]


async def test_a_stream_that_has_not_begun_is_taken_over() -> None:
    stand = Stand({"first": ["overloaded"]})
    events = [event async for event in models(stand).stream(ASKED)]
    assert events[0] == TextDelta("I am second")
    assert isinstance(events[-1], ModelReply)
    assert len(events[-1].attempts) == 1


async def test_the_agent_names_its_own_backups() -> None:
    stand = Stand({"first": ["overloaded"]})
    request = replace(ASKED, cascade=Cascade(("mine",), 1.0))
    assert (await models(stand).complete(request)).model == "mine"


async def test_without_backups_the_same_model_is_asked_again() -> None:
    stand = Stand({"first": ["overloaded", "timeout", None]})
    reply = await models(stand).complete(replace(ASKED, cascade=Cascade((), 1.0)))
    assert stand.asked == ["first"] * 3
    assert len(reply.attempts) == 2


async def test_a_custom_model_is_asked_again_and_never_replaced() -> None:
    stand = Stand({"custom-llm": ["connection"]})
    failed = await failure(models(stand), replace(ASKED, model="custom-llm", cascade=Cascade(("second",), 1.0)))
    assert stand.asked == ["custom-llm"] * LEAST_ATTEMPTS
    assert [attempt.model for attempt in failed.attempts] == stand.asked


async def test_a_name_that_leads_to_the_same_model_is_no_backup() -> None:
    stand = Stand({"first": ["auth"]})
    await failure(models(stand, ("same-as-first",)))
    assert stand.asked == ["first"]


async def test_a_name_without_endpoint_is_an_attempt() -> None:
    stand = Stand()
    reply = await models(stand).complete(replace(ASKED, model="nowhere"))
    assert reply.model == "second"
    assert reply.attempts[0].error == "configuration: it has no endpoint"


@given(
    st.lists(st.sampled_from(["second", "third", "fourth", "first"]), max_size=4),
    st.fixed_dictionaries(
        {name: st.lists(st.sampled_from([None, *KINDS]), min_size=1, max_size=3) for name in ("first", "second")}
    ),
    st.sampled_from([None, *KINDS]),
)
def test_rules_of_the_order(backups: list[str], outcomes: dict[str, list[Outcome]], others: Outcome) -> None:
    known = {name: list(kinds) for name, kinds in outcomes.items()}
    stand = Stand(known | {"third": [others], "fourth": [others]})
    names = list(dict.fromkeys(["first", *backups]))

    async def run() -> ModelReply | AllModelsFailed:
        try:
            return await models(stand, tuple(backups)).complete(ASKED)
        except AllModelsFailed as error:
            return error

    result = asyncio.run(run())
    assert stand.asked[: len(names)] == names[: len(stand.asked)]  # everybody once, in order, before anybody twice
    assert stand.closed == stand.asked
    attempts = [(attempt.model, attempt.error.split(":")[0]) for attempt in result.attempts]
    for place, (model, kind) in enumerate(attempts):
        if kind in LASTING:
            assert model not in [name for name, _ in attempts[place + 1 :]]
    if isinstance(result, ModelReply):
        assert stand.asked == [*(model for model, _ in attempts), result.model]
    else:
        gone = {model for model, kind in attempts if kind in LASTING}
        assert len(attempts) >= LEAST_ATTEMPTS or gone == set(names)
        assert len(attempts) <= max(LEAST_ATTEMPTS, len(names))


async def test_cancelling_a_whole_reply_closes_the_model() -> None:
    stand = Stand(silent={"first"}, speaks_before={"first"})
    task = asyncio.create_task(models(stand).complete(replace(ASKED, cascade=Cascade(None, 60.0))))
    await eventually(stand.begun.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stand.closed == ["first"]


def test_pauses_grow_before_the_same_model_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("greenline.llm.cascade.asyncio.sleep", sleep)
    stand = Stand({"first": ["overloaded"]})
    resolve: Callable[[str, ModelRequest], Endpoint] = lambda name, _: Endpoint(stand, name, name)  # noqa: E731
    with pytest.raises(AllModelsFailed):
        asyncio.run(Models(resolve, (), seconds=5.0, pause=0.2).complete(ASKED))
    assert pauses == [0.2, 0.4]
