"""A person writes, the agent answers: turns of a chat over real Postgres and real HTTP."""

import asyncio
from datetime import timedelta
from typing import get_args

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from greenline.agents import service as agents
from greenline.agents.deletion import delete as delete_agent
from greenline.agents.models import AgentDefinition
from greenline.channels.orders import Order, place
from greenline.channels.whatsapp.commit import Committer, TurnCommit
from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, Started, TurnFailed, UserMessage
from greenline.conversations.lifecycle import AGENT_DELETED, ENDED_BY_OPERATOR
from greenline.engine.figures import CameTo
from greenline.llm.models import ModelReply, ModelRequest, ToolCall
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.channel import ANN, Channel, running_channel
from support.residue import work_of
from support.rows import WORKSPACE
from support.wait import eventually, until


def counted() -> dict[str, float]:
    """How many turns came to what, so far."""
    found = {name: REGISTRY.get_sample_value("greenline_turns_total", {"outcome": name}) for name in get_args(CameTo)}
    return {name: value or 0.0 for name, value in found.items()}


async def test_a_message_is_answered_and_recorded(channel: Channel) -> None:
    wamid = await channel.hear("Do you have oolong?")
    assert await channel.told(1) == ["Hello!"]
    await channel.quiet()
    [conversation] = await channel.conversations()
    assert (conversation["status"], conversation["direction"]) == ("in-progress", "inbound")
    assert conversation["user_id"] == ANN
    started, heard, said = (await channel.journal(conversation["id"]))[:3]
    assert isinstance(started, Started)
    assert started.variables["system__caller_id"] == ANN
    assert isinstance(heard, UserMessage)
    assert (heard.text, heard.wamid) == ("Do you have oolong?", wamid)
    assert isinstance(said, AgentMessage)
    [sent] = channel.meta.sent
    assert said.outbox_ids == (sent["biz_opaque_callback_data"],)
    assert [row["state"] for row in await channel.outbox()] == ["accepted"]


async def test_a_maximum_duration_beyond_the_calendar_is_none(channel: Channel) -> None:
    await channel.configure({"conversation": {"max_duration_seconds": 2**53 - 1}})
    await channel.hear()
    await channel.told(1)
    await channel.hear("And?")
    assert await channel.told(2) == ["Hello!", "Hello!"]


async def test_the_message_is_read_before_the_answer(channel: Channel) -> None:
    wamid = await channel.hear()
    await channel.told(1)
    [read] = channel.meta.read
    assert (read["message_id"], read["typing_indicator"]) == (wamid, {"type": "text"})


async def test_nobody_answers_for_a_number_without_agent(channel: Channel, pool: Pool) -> None:
    await pool.execute("update whatsapp_account set assigned_agent_id = null")
    await channel.hear()
    await channel.quiet()
    assert channel.meta.sent == channel.meta.read == []
    assert await pool.fetchval("select error from inbox") == "no agent is assigned to the number"


async def test_messaging_can_be_switched_off(channel: Channel, pool: Pool) -> None:
    await pool.execute("update whatsapp_account set enable_messaging = false")
    await channel.hear()
    await channel.quiet()
    assert channel.meta.sent == []


async def test_without_the_indicator_nothing_is_marked_as_read(channel: Channel, pool: Pool) -> None:
    await pool.execute("update whatsapp_account set enable_typing_indicator = false")
    await channel.hear()
    assert await channel.told(1) == ["Hello!"]
    assert channel.meta.read == []


async def test_fragments_are_answered_once(channel: Channel) -> None:
    channel.model.hold = asyncio.Event()
    channel.model.say = lambda request: f"You said: {request.messages[-1].text}"
    await channel.hear("hi")

    async def thinking() -> bool:
        return bool(channel.model.requests)

    await until(thinking)
    await channel.hear("my order")

    async def merged() -> bool:
        return channel.model.cancelled == 1 and len(channel.model.requests) == 2

    await until(merged)
    channel.model.hold.set()
    assert await channel.told(1) == ["You said: hi\nmy order"]
    await channel.quiet()
    assert len(channel.meta.sent) == 1
    [conversation] = await channel.conversations()
    assert conversation["user_message_count"] == 2


async def test_a_turn_that_lost_its_chat_leaves_nothing_running(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    async with running_channel(pool, dsn, clock, settings.model_copy(update={"lease_seconds": 0.3})) as channel:
        channel.model.hold = asyncio.Event()
        await channel.hear()
        await eventually(lambda: channel.model.requests)
        await pool.execute(
            "update mailbox set epoch = epoch + 1, owner = 'another', lease_until = now() + interval '1 hour' "
            "where kind = 'chat'"
        )
        await eventually(lambda: channel.model.cancelled)
        await eventually(lambda: "Event.wait" not in map(work_of, asyncio.all_tasks()))


async def test_a_conversation_goes_on(channel: Channel) -> None:
    channel.model.say = lambda request: f"answer {sum(m.role == 'user' for m in request.messages)}"
    for count in (1, 2, 3):
        await channel.hear(f"question {count}")
        assert (await channel.told(count))[-1] == f"answer {count}"
    assert len(await channel.conversations()) == 1


async def test_silence_ends_a_conversation_and_the_next_one_remembers(channel: Channel, clock: ManualClock) -> None:
    await channel.hear("I like oolong")
    await channel.told(1)
    await channel.quiet()
    clock.advance(timedelta(minutes=10))
    await channel.quiet()
    [ended] = await channel.conversations()
    assert (ended["status"], ended["termination_reason"]) == ("done", "Conversation exceeded the maximum duration")
    await channel.hear("Me again")
    await channel.told(2)
    assert len(await channel.conversations()) == 2
    assert "Person: I like oolong" in channel.model.requests[-1].messages[0].text


async def test_a_closing_sentence_is_sent(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> None:
    agent = {"prompt": {"prompt": "x"}, "max_conversation_duration_message": "Until next time!"}
    async with running_channel(pool, dsn, clock, settings, agent) as channel:
        await channel.hear()
        await channel.told(1)
        await channel.quiet()
        clock.advance(timedelta(seconds=601))
        assert await channel.told(2) == ["Hello!", "Until next time!"]


async def test_inactivity_ends_it_too(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> None:
    quick = settings.model_copy(update={"inactivity_seconds": 60.0, "thread_memory": "forget"})
    async with running_channel(pool, dsn, clock, quick) as channel:
        await channel.hear()
        await channel.told(1)
        await channel.quiet()
        clock.advance(timedelta(seconds=61))
        await channel.quiet()
        [ended] = await channel.conversations()
        assert ended["termination_reason"] == "Conversation ended after inactivity"
        await channel.hear("Again")
        await channel.told(2)
        assert "Earlier" not in channel.model.requests[-1].messages[0].text


async def test_the_first_message_travels_with_the_first_answer(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    agent = {"prompt": {"prompt": "x"}, "first_message": "Welcome, {{system__caller_id}}!"}
    async with running_channel(pool, dsn, clock, settings, agent) as channel:
        await channel.hear()
        assert await channel.told(1) == [f"Welcome, {ANN}!\n\nHello!"]
        roles = [message.role for message in channel.model.requests[0].messages]
        assert roles == ["system", "assistant", "user"]


async def test_a_missing_variable_fails_the_conversation_not_silently(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    agent = {"prompt": {"prompt": "Greet {{customer_name}}."}}
    before = counted()
    async with running_channel(pool, dsn, clock, settings, agent) as channel:
        await channel.hear()
        assert await channel.told(1) == [settings.failure_message]
        await channel.quiet()
        [conversation] = await channel.conversations()
        assert conversation["status"] == "failed"
        assert "customer_name" in conversation["error"]["reason"]
    assert counted() == {**before, "failed": before["failed"] + 1}


async def test_a_turn_that_is_committed_at_the_second_attempt_is_counted_once(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, wrote, faults = counted(), Committer.commit, [OSError("the connection broke")]

    async def commit(self: Committer, turn: TurnCommit) -> None:
        if faults:
            raise faults.pop()
        await wrote(self, turn)

    monkeypatch.setattr(Committer, "commit", commit)
    await channel.hear()

    async def answered() -> bool:
        return channel.meta.texts() == ["Hello!"]

    await channel.pass_time(answered, step=1.0)
    await channel.quiet()
    assert faults == []
    assert counted() == {**before, "answered": before["answered"] + 1}


async def test_end_call_ends_the_conversation(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> None:
    agent = {"prompt": {"prompt": "x", "built_in_tools": {"end_call": {}}}}

    def hang_up(request: ModelRequest) -> ModelReply:
        return ModelReply("m", "", (ToolCall("1", "end_call", {"reason": "done", "message": "Bye!"}),))

    async with running_channel(pool, dsn, clock, settings, agent) as channel:
        channel.model.say = hang_up
        await channel.hear("bye")
        assert await channel.told(1) == ["Bye!"]
        await channel.quiet()
        [conversation] = await channel.conversations()
        assert (conversation["status"], conversation["tool_names"]) == ("done", ["end_call"])


async def test_what_cannot_be_opened_is_answered_politely_once(channel: Channel, settings: Settings) -> None:
    for _ in range(3):
        await channel.hear(type="unsupported", errors=[{"code": 131051}], unsupported={"type": "poll"})
        await channel.quiet()
    assert channel.meta.texts() == [settings.unsupported_message]
    assert channel.meta.read == []
    assert channel.model.requests == []


async def test_a_fault_of_the_server_is_told_after_the_last_attempt(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    once = settings.model_copy(update={"turn_max_attempts": 1})

    def break_down(request: ModelRequest) -> str:
        raise RuntimeError("a bug")

    before = counted()
    async with running_channel(pool, dsn, clock, once) as channel:
        channel.model.say = break_down
        await channel.hear()
        assert await channel.told(1) == [settings.failure_message]
        await channel.quiet()
        assert counted() == {**before, "failed": before["failed"] + 1}
        [conversation] = await channel.conversations()
        assert any(isinstance(event, TurnFailed) for event in await channel.journal(conversation["id"]))
        assert "a bug" in await pool.fetchval("select error from inbox")


async def put_beside(channel: Channel, kind: str, payload: str) -> None:
    """An item that nobody can read waits in the chat that there is: an earlier version has kept such ones."""
    await channel.pool.execute(
        "insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at)"
        " select $1, 'odd', id, $2, $3::text::json, $4 from mailbox where kind = 'chat'",
        *(WORKSPACE, kind, payload, channel.clock.now()),
    )


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


UNREADABLE = {
    "message": f'{{"message":{{"id":"odd","type":"text","text":{{"body":"And?","x":{nested(600)}}}}}}}',
    "standby": f'{{"message":{{"id":"odd","timestamp":{nested(600)}}}}}',
    "user_preferences": (
        f'{{"value":{{"category":"marketing_messages","value":{nested(600)},"timestamp":{nested(600)}}}}}'
    ),
    "identity": f'{{"value":{{"user_id":{nested(600)}}}}}',
    "order": nested(600),
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("works", [True, False], ids=["answered", "given up"])
async def test_a_person_hears_of_it_whatever_waits_beside_their_message(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, kind: str, works: bool
) -> None:
    once = settings.model_copy(update={"turn_max_attempts": 1})

    def break_down(request: ModelRequest) -> str:
        raise RuntimeError("a bug")

    async with running_channel(pool, dsn, clock, once) as channel:
        await channel.hear()
        await channel.told(1)
        await channel.quiet()
        await put_beside(channel, kind, UNREADABLE[kind])
        channel.model.say = channel.model.say if works else break_down
        await channel.hear("Are you there?")
        await channel.quiet()
        told = "Hello!" if works and kind != "order" else settings.failure_message
        assert channel.meta.texts() == ["Hello!", told]
        assert not await pool.fetchval("select exists (select from inbox where done_at is null)")


async def test_what_came_beside_a_message_holds_though_its_turn_failed(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    once = settings.model_copy(update={"turn_max_attempts": 1})

    def break_down(request: ModelRequest) -> str:
        raise RuntimeError("a bug")

    async with running_channel(pool, dsn, clock, once) as channel:
        await channel.hear()
        await channel.told(1)
        await channel.quiet()
        [conversation] = await channel.conversations()
        channel.model.say, channel.model.hold = break_down, asyncio.Event()
        await channel.hear("And?")
        await eventually(lambda: len(channel.model.requests) == 2)
        preference = {"wa_id": ANN, "category": "marketing_messages", "value": "stop", "timestamp": 1_770_000_010}
        await channel.deliver("user_preferences", user_preferences=[preference])
        await place(pool, clock, WORKSPACE, conversation["id"], Order("end_call"))
        await eventually(lambda: len(channel.model.requests) == 3)
        channel.model.hold.set()
        await channel.quiet()
        assert await pool.fetchval("select marketing_stopped from whatsapp_chat")
        ended = await pool.fetchval("select termination_reason from conversation where id = $1", conversation["id"])
        assert ended == ENDED_BY_OPERATOR


async def test_after_a_fault_a_conversation_still_ends_in_time(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    once = settings.model_copy(update={"turn_max_attempts": 1})

    def break_down(request: ModelRequest) -> str:
        raise RuntimeError("a bug with a \0")

    async with running_channel(pool, dsn, clock, once) as channel:
        channel.model.say = break_down
        await channel.hear()
        assert await channel.told(1) == [settings.failure_message]
        await channel.quiet()
        clock.advance(timedelta(minutes=11))
        await channel.quiet()
        [conversation] = await channel.conversations()
        assert conversation["ended_at"] == clock.now()


async def test_a_failure_to_apologise_is_recorded(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    once = settings.model_copy(update={"turn_max_attempts": 1})
    async with running_channel(pool, dsn, clock, once) as channel:
        await pool.execute("""update agent_version set config = '{"conversation_config": "broken"}'""")
        with capture_logs() as logs:
            await channel.hear()
            await channel.quiet()
        assert "turn.not_apologised" in [line["event"] for line in logs]
        assert "conversation_config" in await pool.fetchval("select error from inbox")


async def assign_another(channel: Channel) -> str:
    agent_id = await agents.create(channel.pool, channel.clock, WORKSPACE, AgentDefinition())
    await channel.pool.execute("update whatsapp_account set assigned_agent_id = $1", agent_id)
    return agent_id


async def test_a_conversation_ends_with_its_agent_and_the_next_agent_begins_anew(channel: Channel) -> None:
    await channel.hear()
    await channel.told(1)
    await delete_agent(channel.pool, channel.clock, WORKSPACE, channel.agent_id)
    await channel.quiet()
    [conversation] = await channel.conversations()
    assert (conversation["termination_reason"], conversation["ended_at"]) == (AGENT_DELETED, channel.clock.now())

    agent_id = await assign_another(channel)
    await channel.hear()
    await channel.told(2)
    await channel.quiet()
    assert [row["agent_id"] for row in await channel.conversations()] == [channel.agent_id, agent_id]


async def test_who_had_written_to_an_agent_that_is_gone_is_answered_by_the_next_one(channel: Channel) -> None:
    await channel.hear()
    await channel.told(1)
    await channel.quiet()
    await channel.pool.execute("delete from agent")  # nothing looks at the chat
    agent_id = await assign_another(channel)

    channel.clock.advance(timedelta(seconds=1))
    await channel.hear()
    await channel.told(2)

    await channel.quiet()
    gone, new = await channel.conversations()
    assert (gone["termination_reason"], gone["status"]) == (AGENT_DELETED, "done")
    assert (new["agent_id"], new["status"]) == (agent_id, "in-progress")


async def test_a_conversation_whose_agent_is_gone_ends_though_nobody_writes(channel: Channel) -> None:
    await channel.hear()
    await channel.told(1)
    await channel.quiet()
    await channel.pool.execute("delete from agent")
    channel.clock.advance(timedelta(minutes=11))
    await channel.quiet()
    [conversation] = await channel.conversations()
    assert conversation["termination_reason"] == AGENT_DELETED


async def test_many_people_are_answered_each_once(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    fast = settings.model_copy(update={"throughput_per_second": 10_000.0})  # the test's clock stands still
    people = [f"1555200{n:04}" for n in range(40)]
    async with running_channel(pool, dsn, clock, fast) as channel:
        channel.model.say = lambda request: f"to {request.messages[-1].text}"
        await asyncio.gather(*(channel.hear(f"{person}", person) for person in people))
        for person in people:
            assert await channel.told(1, person) == [f"to {person}"]
        await channel.quiet()
        assert len(channel.meta.sent) == 40
