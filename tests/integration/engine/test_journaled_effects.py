"""A turn that died goes on from its last effect."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from greenline.agents.config.guardrails import Guardrails
from greenline.clock import ManualClock
from greenline.conversations.events import Started, ToolReturned, UserMessage
from greenline.engine.effects import JournaledEffects
from greenline.engine.guardrails.rules import guard_of
from greenline.engine.turn import Turn, run_turn
from greenline.llm.models import Message, ModelReply, ModelRequest, TextPart, ToolCall, ToolSpec
from greenline.settings import Settings
from greenline.store.mailbox import Claim, LeaseLost, Mailboxes, ring
from greenline.store.pool import Pool
from greenline.tools.models import ToolContext, ToolResult
from support.channel import ScriptedModel
from support.judges import custom


class PowerCut(BaseException):
    """The process dies here."""


@dataclass
class Order:
    """A tool that changes the world."""

    runs: list[ToolContext] = field(default_factory=list)
    type: str = "webhook"
    has_effect: bool = True
    dies: bool = False

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec("order", "Order tea.", {"type": "object", "properties": {}})

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        self.runs.append(context)
        if self.dies:
            raise PowerCut
        return ToolResult(f"Ordered {arguments['what']}\x00.")


@dataclass
class Late:
    """A tool of the name that the model has made up before."""

    order: Order
    type: str = "webhook"
    has_effect: bool = True

    @property
    def spec(self) -> ToolSpec:
        return replace(self.order.spec, name="unknown")

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return await self.order.run(arguments, context)


def order_then_tell(request: ModelRequest) -> ModelReply:
    if request.messages[-1].role == "tool":
        return ModelReply("m", f"Done: {request.messages[-1].text}")
    return ModelReply("m", "", (ToolCall("call_1", "order", {"what": "oolong"}),))


def turn(tool: Order) -> Turn:
    return Turn(
        conversation_id="conv_1",
        started=Started(agent_id="a", branch_id="b", version_id="v", source="whatsapp"),
        prompt="",
        style="",
        request=ModelRequest("m", ()),
        journal=(UserMessage(id="u", text="Oolong, please"),),
        tools=(tool,),
    )


def guarded(tool: Order) -> Turn:
    guardrails = Guardrails.model_validate(custom())
    return replace(turn(tool), guard=guard_of(guardrails, Settings(_env_file=None), streams=False))


def judge_and_order(request: ModelRequest) -> ModelReply:
    if request.judging is not None:
        return ModelReply("judge", '{"triggered": false}')
    return order_then_tell(request)


def judge_and_speak_and_order(request: ModelRequest) -> ModelReply:
    return (
        replace(judge_and_order(request), text="One moment.") if request.judging is None else judge_and_order(request)
    )


async def claimed(mailboxes: Mailboxes, clock: ManualClock) -> Claim:
    [claim] = await mailboxes.claim("me", "chat", clock.now(), 1)
    return claim


@pytest.fixture
async def mailboxes(pool: Pool, clock: ManualClock) -> Mailboxes:
    await ring(pool, mailbox_id="chat_1", workspace_id="ws_1", kind="chat", due_at=clock.now())
    return Mailboxes(pool, lease_seconds=0.0)


async def test_a_tool_that_ran_is_not_run_again(mailboxes: Mailboxes, clock: ManualClock) -> None:
    tool, model = Order(), ScriptedModel()

    def die_after_the_tool(request: ModelRequest) -> ModelReply:
        if request.messages[-1].role == "tool":
            raise PowerCut
        return order_then_tell(request)

    model.say = die_after_the_tool
    first = JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,))
    with pytest.raises(PowerCut):
        await run_turn(turn(tool), first)
    clock.advance(timedelta(seconds=1))
    model.say = order_then_tell
    again = await claimed(mailboxes, clock)
    effects = JournaledEffects(mailboxes, again, model, clock, (7,))
    assert effects.touched_world
    outcome = await run_turn(turn(tool), effects)
    assert len(tool.runs) == 1
    assert outcome.spoken[-1].say.text == "Done: Ordered oolong\ufffd."


async def test_a_resumed_turn_makes_the_same_ids(mailboxes: Mailboxes, clock: ManualClock) -> None:
    tool, model = Order(), ScriptedModel(say=order_then_tell)
    keys = []
    for _ in range(2):
        claim = await claimed(mailboxes, clock)
        outcome = await run_turn(turn(tool), JournaledEffects(mailboxes, claim, model, clock, (7,)))
        keys.append([event.model_dump(exclude={"seconds"}) for event in outcome.events])
    assert keys[0] == keys[1]
    assert len(tool.runs) == 1


async def test_who_dies_after_the_verdict_asks_no_judge_again(mailboxes: Mailboxes, clock: ManualClock) -> None:
    tool, model = Order(), ScriptedModel(say=judge_and_order)
    outcomes = []
    for _ in range(2):
        claim = await claimed(mailboxes, clock)
        outcome = await run_turn(guarded(tool), JournaledEffects(mailboxes, claim, model, clock, (7,)))
        outcomes.append([event.model_dump(exclude={"seconds"}) for event in outcome.events])
    assert outcomes[0] == outcomes[1]
    assert [request.judging is not None for request in model.requests] == [False, False, True]
    assert len(tool.runs) == 1


async def test_a_question_that_was_asked_twice_has_both_its_verdicts(
    mailboxes: Mailboxes, clock: ManualClock
) -> None:
    """A model that is to try again may say the same, of which a judge may think better."""
    verdicts = ['{"triggered": true}', '{"triggered": false}']
    model = ScriptedModel(say=lambda request: verdicts[len(model.requests) - 1])
    question = ModelRequest("judge", (Message("user", (TextPart("It costs nine euro."),)),))
    for _ in range(2):
        effects = JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,))
        for verdict in verdicts:
            judging = effects.judge(question, 5.0)
            assert judging is not None
            reply = await judging
            assert isinstance(reply, ModelReply)
            assert reply.text == verdict
        await effects.judged()
    assert len(model.requests) == 2


def with_guard(guardrails: dict[str, Any] | None, tool: Order) -> Turn:
    if guardrails is None:
        return turn(tool)
    guard = guard_of(Guardrails.model_validate(guardrails), Settings(_env_file=None), streams=False)
    return replace(turn(tool), guard=guard)


GUARDS = {
    "none": None,
    "one rule": custom(),
    "another rule": custom(prompt="No promises."),
    "two rules": custom() | {"prompt_injection": {"is_enabled": True}},
}


def order_aloud(request: ModelRequest) -> ModelReply:
    """The model announces its order, and then tells of it; judges find nothing."""
    reply = judge_and_order(request)
    return replace(reply, text=reply.text or "One moment.")


@pytest.mark.parametrize("after", GUARDS)
@pytest.mark.parametrize("before", GUARDS)
@pytest.mark.parametrize("dies_in", ["tool", "second round", "last verdict"])
async def test_a_turn_goes_on_though_its_guardrails_were_changed_since(
    mailboxes: Mailboxes, clock: ManualClock, before: str, after: str, dies_in: str
) -> None:
    """What has led to a call is judged no more; what the agent says since is, by the rules of now."""

    def die(request: ModelRequest) -> ModelReply:
        reply = order_aloud(request)
        told = "Done" in (reply if request.judging is None else request.messages[-1]).text
        if told and dies_in == ("second round" if request.judging is None else "last verdict"):
            raise PowerCut
        return reply

    tool, model = Order(dies=dies_in == "tool"), ScriptedModel(say=die)
    first = JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,))
    with contextlib.suppress(PowerCut):  # without a rule nobody dies in a verdict
        await run_turn(with_guard(GUARDS[before], tool), first)
    asked = len(model.requests)
    tool.dies, model.say = False, order_aloud
    again = JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,))
    outcome = await run_turn(with_guard(GUARDS[after], tool), again)
    assert [said.say.text for said in outcome.spoken] == ["One moment.", "Done: Ordered oolong\ufffd."]
    assert len(tool.runs) == (2 if dies_in == "tool" else 1)
    assert len({context.idempotency_key for context in tool.runs}) == 1
    judged = [request.messages[-1].text for request in model.requests[asked:] if request.judging is not None]
    assert bool(judged) == (after != "none")
    assert all("Done" in text for text in judged)


async def test_no_new_question_is_asked_about_what_led_to_a_call_though_a_slow_verdict_came_last(
    mailboxes: Mailboxes, clock: ManualClock
) -> None:
    def asking(words: str) -> ModelRequest:
        return ModelRequest("judge", (Message("user", (TextPart(words),)),))

    tool, model = Order(dies=True), ScriptedModel(say=judge_and_order)
    context = ToolContext("conv_1", "msg_1:call_1")
    first = JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,))
    slow = first.judge(asking("Oolong, please"), 5.0)
    await first.model(asking("Go on."))
    assert slow is not None
    await slow
    await first.judged()
    with pytest.raises(PowerCut):
        await first.tool(tool, {"what": "oolong"}, context)
    again = JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,))
    known = again.judge(asking("Oolong, please"), 5.0)
    assert known is not None
    await known
    await again.model(asking("Go on."))
    late = again.judge(asking("A rule of now."), 5.0)
    assert late is None


@pytest.mark.parametrize("before", ["none", "one rule", "two rules"])
async def test_a_turn_that_died_under_the_version_before_goes_on(
    mailboxes: Mailboxes, clock: ManualClock, before: str
) -> None:
    """It gave the steps of models and judges no names."""

    def die(request: ModelRequest) -> ModelReply:
        if request.judging is None and request.messages[-1].role == "tool":
            raise PowerCut
        return order_aloud(request)

    def order_otherwise(request: ModelRequest) -> ModelReply:
        said = order_aloud(request)
        return replace(said, tool_calls=tuple(replace(call, id="call_2") for call in said.tool_calls))

    tool, model = Order(), ScriptedModel(say=die)
    first = JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,))
    with pytest.raises(PowerCut):
        await run_turn(with_guard(GUARDS[before], tool), first)
    asked, model.say = len(model.requests), order_otherwise
    claim = await claimed(mailboxes, clock)
    kinds = [step.kind if step.kind.startswith("tool") else step.kind.partition(":")[0] for step in claim.steps]
    claim.steps = tuple(replace(step, kind=kind) for step, kind in zip(claim.steps, kinds, strict=True))
    outcome = await run_turn(with_guard(GUARDS[before], tool), JournaledEffects(mailboxes, claim, model, clock, (7,)))
    assert len(tool.runs) == 1
    assert outcome.spoken[-1].say.text == "Done: Ordered oolong\ufffd."
    assert all("Done" in request.messages[-1].text or request.judging is None for request in model.requests[asked:])


async def test_a_turn_that_died_in_a_tool_has_touched_the_world_though_it_was_judged_before(
    mailboxes: Mailboxes, clock: ManualClock
) -> None:
    """Its steps were recorded before it was known that they lead to a call: a turn without one may be superseded."""
    tool, model = Order(dies=True), ScriptedModel(say=judge_and_speak_and_order)
    claim = await claimed(mailboxes, clock)
    with pytest.raises(PowerCut):
        await run_turn(guarded(tool), JournaledEffects(mailboxes, claim, model, clock, (7,)))
    assert JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,)).touched_world


async def test_steps_of_other_inputs_are_not_taken_over(mailboxes: Mailboxes, clock: ManualClock) -> None:
    tool, model = Order(), ScriptedModel(say=order_then_tell)
    await run_turn(turn(tool), JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,)))
    again = await claimed(mailboxes, clock)
    await run_turn(turn(tool), JournaledEffects(mailboxes, again, model, clock, (7, 8)))
    assert len(tool.runs) == 2
    assert len({context.idempotency_key for context in tool.runs}) == 2


async def test_whoever_lost_the_mailbox_runs_no_tool(mailboxes: Mailboxes, clock: ManualClock) -> None:
    tool, model = Order(), ScriptedModel(say=order_then_tell)
    zombie = await claimed(mailboxes, clock)
    await claimed(mailboxes, clock)
    with pytest.raises(LeaseLost):
        await run_turn(turn(tool), JournaledEffects(mailboxes, zombie, model, clock, (7,)))
    assert tool.runs == []


async def test_a_tool_whose_service_went_away_meanwhile_has_returned_all_the_same(
    mailboxes: Mailboxes, clock: ManualClock
) -> None:
    tool, model = Order(), ScriptedModel(say=order_then_tell)
    await run_turn(turn(tool), JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,)))
    claim = await claimed(mailboxes, clock)
    effects = JournaledEffects(mailboxes, claim, model, clock, (7,))
    outcome = await run_turn(replace(turn(tool), tools=()), effects)
    assert len(tool.runs) == 1
    assert outcome.spoken[-1].say.text == "Done: Ordered oolong\ufffd."


async def test_a_tool_that_came_only_after_a_turn_died_is_not_run(mailboxes: Mailboxes, clock: ManualClock) -> None:
    def order_twice(request: ModelRequest) -> ModelReply:
        asked = sum(message.role == "tool" for message in request.messages)
        if asked == 2:
            raise PowerCut
        return ModelReply("m", "", (ToolCall(f"call_{asked + 1}", "order" if asked else "unknown", {"what": "tea"}),))

    tool, late = Order(), Order()
    model = ScriptedModel(say=order_twice)
    with pytest.raises(PowerCut):
        await run_turn(turn(tool), JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,)))
    model.say = lambda request: "Done."
    there = replace(turn(tool), tools=(tool, Late(late)))
    await run_turn(there, JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,)))
    assert (len(tool.runs), len(late.runs)) == (1, 0)


@pytest.mark.parametrize("has_effect", [True, False])
@pytest.mark.parametrize(("before", "after"), [(False, False), (False, True), (True, False), (True, True)])
async def test_a_tool_that_comes_and_goes_leaves_the_others_of_its_reply_alone(
    mailboxes: Mailboxes, clock: ManualClock, before: bool, after: bool, has_effect: bool
) -> None:
    """One reply calls two tools, of which one is away before the turn dies, or after it."""

    def call_both(request: ModelRequest) -> ModelReply:
        if request.messages[-1].role == "tool":
            raise PowerCut
        calls = (ToolCall("call_1", "unknown", {"what": "a look"}), ToolCall("call_2", "order", {"what": "tea"}))
        return ModelReply("m", "", calls)

    tool, other = Order(), Order()
    model, comes = ScriptedModel(say=call_both), Late(other, has_effect=has_effect)

    def with_tools(there: bool) -> Turn:
        return replace(turn(tool), tools=(tool, comes) if there else (tool,))

    with pytest.raises(PowerCut):
        await run_turn(
            with_tools(before), JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,))
        )
    model.say = lambda request: "Done."
    outcome = await run_turn(
        with_tools(after), JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,))
    )
    assert len(tool.runs) == 1
    results = [event.result for event in outcome.events if isinstance(event, ToolReturned)]
    assert results[1] == "Ordered tea\ufffd."
    if has_effect:
        assert len(other.runs) == before
        expected = "Ordered a look\ufffd." if before else "There is no tool named unknown."
        assert results[0] == expected


@dataclass
class Foreign(Order):
    """A tool of another service, which has no idea of our keys unless it says so."""

    may_repeat: bool = False
    dies: bool = True
    tool_id: str = "mcp:1:order"

    def details(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        result = await super().run(arguments, context)
        if self.dies:
            raise PowerCut
        return result


@pytest.mark.parametrize("may_repeat", [False, True])
async def test_a_call_of_which_nobody_knows_is_repeated_only_where_it_may_be(
    mailboxes: Mailboxes, clock: ManualClock, may_repeat: bool
) -> None:
    tool, model = Foreign(may_repeat=may_repeat), ScriptedModel(say=order_then_tell)
    with pytest.raises(PowerCut):
        await run_turn(turn(tool), JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,)))
    tool.dies = False
    effects = JournaledEffects(mailboxes, await claimed(mailboxes, clock), model, clock, (7,))
    assert effects.touched_world
    outcome = await run_turn(turn(tool), effects)

    returned = next(event for event in outcome.events if isinstance(event, ToolReturned))
    assert len(tool.runs) == (2 if may_repeat else 1)
    assert returned.error_type == ("" if may_repeat else "unknown_outcome")
    assert len({context.idempotency_key for context in tool.runs}) == 1
