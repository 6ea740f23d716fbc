"""What is sent, when, and how often: faults of Meta, unknown outcomes, rates, the window."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from structlog.testing import capture_logs

from greenline.channels.whatsapp.delivery import MAX_RESENDS, Fact, raise_states
from greenline.channels.whatsapp.pacing import UNHEARD
from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.mailbox import ring
from greenline.store.pool import Pool
from greenline.store.vault import open_vault
from support.channel import ANN, Channel, running_channel
from support.graph_stand_in import meta_error
from support.rows import NUMBER, WORKSPACE
from support.scripted import Answer
from support.wait import until

GRACE = timedelta(seconds=15)
LATTICE = ("accepted", "sent", "failed", "delivered", "read", "played")
"""The states of a message that Meta tells of, lowest first."""


class Faults:
    """Refuses the first messages as told, then accepts; counts the attempts."""

    def __init__(self, *answers: Answer | None) -> None:
        self._answers = list(answers)
        self.attempts: list[dict[str, Any]] = []

    def __call__(self, message: dict[str, Any]) -> Answer | None:
        self.attempts.append(message)
        return self._answers.pop(0) if self._answers else None


async def in_state(channel: Channel, state: str) -> dict[str, Any]:
    """The only message of the outbox, when it is in ``state``."""

    async def found() -> dict[str, Any] | None:
        rows = await channel.outbox()
        return rows[0] if rows and rows[0]["state"] == state else None

    row = await until(found)
    assert row is not None
    return row


async def told(channel: Channel) -> bool:
    """Whether anybody was told anything."""
    return bool(channel.meta.texts())


@pytest.mark.parametrize("fault", [meta_error(130429), meta_error(131056), meta_error(80007), Answer(429)])
async def test_what_meta_refused_before_processing_is_sent_again(channel: Channel, fault: Answer) -> None:
    faults = channel.meta.refuse = Faults(fault)
    await channel.hear()

    async def waits() -> bool:
        rows = await channel.outbox()
        return bool(rows) and rows[0]["attempt"] == 1 and rows[0]["state"] == "queued"

    await until(waits)
    channel.advance(timedelta(minutes=2))
    assert await channel.told(1) == ["Hello!"]
    assert len(faults.attempts) == 2


@pytest.mark.parametrize(
    ("fault", "logged"),
    [
        (meta_error(131000, 500), "131000"),
        (Answer(503), "HTTP 503 without an explanation"),
        (Answer(cut=True), "Meta did not answer"),
    ],
)
async def test_an_unknown_outcome_is_not_guessed(channel: Channel, fault: Answer, logged: str) -> None:
    faults = channel.meta.refuse = Faults(fault)
    with capture_logs() as logs:
        await channel.hear()
        await in_state(channel, "unknown")
    [line] = [line for line in logs if line["event"] == "sender.error"]
    assert logged in line["error"]
    await channel.reached()
    channel.advance(GRACE - timedelta(seconds=2))
    await channel.settled()
    assert len(faults.attempts) == 1
    channel.advance(timedelta(seconds=2))
    assert await channel.told(1) == ["Hello!"]
    first, second = faults.attempts
    assert first["biz_opaque_callback_data"] == second["biz_opaque_callback_data"]


async def test_a_message_of_unknown_outcome_is_repeated_though_nobody_writes(channel: Channel) -> None:
    faults = channel.meta.refuse = Faults(Answer(cut=True))
    await channel.hear()
    await in_state(channel, "unknown")
    channel.advance(GRACE)
    assert await channel.told(1) == ["Hello!"]
    assert len(faults.attempts) == 2


async def cut_off(channel: Channel) -> dict[str, Any]:
    """One message accepted of which no status came, to another person one of unknown outcome: the latter."""
    channel.meta.refuse = Faults(None, Answer(cut=True))
    await channel.hear(person="15550007777")
    await in_state(channel, "accepted")
    await channel.hear()

    async def unknown() -> dict[str, Any] | None:
        rows = await channel.outbox()
        return rows[1] if len(rows) == 2 and rows[1]["state"] == "unknown" else None

    row = await until(unknown)
    assert row is not None
    return row


async def waits_for_statuses(channel: Channel) -> None:
    """Once the grace is over the sender looks again, and leaves the message for later."""
    channel.advance(GRACE * 2)

    async def waits_on() -> bool:
        due = await channel.pool.fetchval("select due_at from mailbox where kind = 'sender' and owner is null")
        return bool(due == channel.clock.now() + GRACE)

    await until(waits_on)
    assert channel.meta.texts() == []


async def test_where_statuses_are_overdue_none_can_settle_anything(channel: Channel) -> None:
    """A second copy would be sent for nothing: the first may have arrived long ago."""
    await cut_off(channel)
    await waits_for_statuses(channel)
    channel.advance(UNHEARD)
    assert await channel.told(1) == ["Hello!"]


async def test_an_order_of_an_operator_is_no_word_of_meta(channel: Channel) -> None:
    row = await cut_off(channel)
    channel.advance(timedelta(seconds=1))
    await channel.pool.execute(
        """insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at, done_at)
           values ($1, 'order_1', $2, 'order', '{}', $3, $3)""",
        WORKSPACE,
        row["chat_id"],
        channel.clock.now(),
    )
    await waits_for_statuses(channel)


async def test_a_status_settles_an_unknown_outcome(channel: Channel) -> None:
    faults = channel.meta.refuse = Faults(Answer(cut=True))
    await channel.hear()
    await in_state(channel, "unknown")
    await channel.status(faults.attempts[0], "sent", wamid="wamid.HIDDEN")
    row = await in_state(channel, "sent")
    assert row["wamid"] == "wamid.HIDDEN"
    channel.advance(GRACE * 2)
    await channel.quiet()
    assert len(faults.attempts) == 1


async def test_the_next_message_waits_for_an_unknown_one(channel: Channel) -> None:
    channel.model.say = lambda request: f"answer to {request.messages[-1].text}"
    channel.meta.refuse = Faults(Answer(cut=True))
    await channel.hear("one")
    await in_state(channel, "unknown")
    channel.advance(timedelta(seconds=1))
    await channel.hear("two")

    async def both() -> bool:
        return len(await channel.outbox()) == 2

    await until(both)
    assert channel.meta.texts() == []
    channel.advance(GRACE)
    assert await channel.told(2) == ["answer to one", "answer to two"]


async def test_a_permanent_refusal_is_visible_and_not_repeated(channel: Channel) -> None:
    details: dict[str, Any] = {"error_data": {"details": "Recipient is not a valid WhatsApp user"}}
    faults = channel.meta.refuse = Faults(meta_error(131026, **details))
    await channel.hear()
    row = await in_state(channel, "failed")
    assert row["error"]["code"] == 131026
    assert row["error"]["details"] == "Recipient is not a valid WhatsApp user"
    await channel.quiet()
    [conversation] = await channel.conversations()
    assert "failed" in [getattr(event, "state", None) for event in await channel.journal(conversation["id"])]
    assert len(faults.attempts) == 1


async def test_an_outage_of_meta_costs_no_answer(channel: Channel) -> None:
    """Nothing is lost by certain refusals while the person may still be answered, however many there are."""
    channel.meta.refuse = lambda message: meta_error(130429)
    await channel.hear()
    for attempt in range(1, 13):

        async def refused(attempt: int = attempt) -> bool:
            rows = await channel.outbox()
            return bool(rows) and rows[0]["state"] == "queued" and rows[0]["attempt"] == attempt

        await until(refused)
        channel.advance(timedelta(minutes=2))
    channel.meta.refuse = lambda message: None
    channel.advance(timedelta(minutes=2))
    assert await channel.told(1) == ["Hello!"]


@pytest.mark.parametrize("fault", [meta_error(2, 503), meta_error(131057, 500), Answer(502)])
async def test_an_outage_that_leaves_outcomes_open_costs_no_answer(channel: Channel, fault: Answer) -> None:
    """Meta answers nothing of use for half an hour: it is asked ever more seldom, and the answer comes in the end."""
    channel.meta.refuse = lambda message: fault
    begun = channel.clock.now()
    await channel.hear()
    attempts = 0
    while channel.clock.now() < begun + timedelta(minutes=30):
        attempts += 1

        async def unknown(attempts: int = attempts) -> bool:
            rows = await channel.outbox()
            return bool(rows) and rows[0]["state"] == "unknown" and rows[0]["attempt"] == attempts

        await until(unknown)
        await channel.reached()
        channel.advance(timedelta(seconds=120))
    assert attempts < 20
    channel.meta.refuse = lambda message: None
    assert await channel.told(1) == ["Hello!"]


@pytest.mark.parametrize(
    ("fault", "attempts"), [(meta_error(131000, 500), 2), (Answer(502), 8), (Answer(cut=True), 8)]
)
async def test_what_meta_leaves_open_again_and_again_is_given_up(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, fault: Answer, attempts: int
) -> None:
    """Sooner where the message itself seems to be the cause than where nothing is heard of Meta."""
    twice = settings.model_copy(update={"send_max_attempts": 2})
    async with running_channel(pool, dsn, clock, twice) as channel:
        faults = channel.meta.refuse = Faults(*[fault] * 20)
        await channel.hear()
        for times in range(1, attempts + 1):

            async def unknown(times: int = times) -> bool:
                return [(row["state"], row["attempt"]) for row in await channel.outbox()] == [("unknown", times)]

            await until(unknown)
            await channel.reached()
            channel.advance(timedelta(minutes=2))
        row = await in_state(channel, "failed")
        assert row["error"] == {"code": None, "title": "Given up", "details": row["error"]["details"]}
        assert len(faults.attempts) == attempts


async def late_failure(channel: Channel, code: int) -> None:
    """The last message fails at Meta after it was accepted."""
    sent = len(channel.meta.sent)
    await in_state(channel, "accepted")
    await channel.status(channel.meta.sent[-1], "failed", wamid=f"wamid.OUT{sent}", errors=[{"code": code}])


@pytest.mark.parametrize("code", [4, 80007, 130429, 131056, 2, 131000, 131016, 131057, 133004])
async def test_what_meta_dropped_for_a_reason_that_passes_is_sent_again(channel: Channel, code: int) -> None:
    await channel.hear()
    await channel.told(1)
    await late_failure(channel, code)
    row = await in_state(channel, "queued")
    assert (row["wamid"], row["dropped_wamids"]) == (None, ["wamid.OUT1"])
    await channel.status(channel.meta.sent[0], "sent", wamid="wamid.OUT1")  # told late
    await channel.quiet_facts()
    assert (await channel.outbox())[0]["state"] == "queued"
    channel.advance(timedelta(minutes=5))
    assert await channel.told(2) == ["Hello!", "Hello!"]
    await channel.status(channel.meta.sent[1], "delivered", wamid="wamid.OUT2")
    assert (await in_state(channel, "delivered"))["wamid"] == "wamid.OUT2"


async def test_what_meta_drops_again_and_again_has_failed(channel: Channel) -> None:
    await channel.hear()
    for times in range(1, MAX_RESENDS + 2):
        await channel.told(times)
        await late_failure(channel, 130429)
        if times <= MAX_RESENDS:
            await in_state(channel, "queued")
            channel.advance(timedelta(minutes=10))
    assert (await in_state(channel, "failed"))["error"]["code"] == 130429


async def test_a_failure_after_the_message_was_seen_repeats_nothing(channel: Channel) -> None:
    await channel.hear()
    await channel.told(1)
    await in_state(channel, "accepted")
    await channel.status(channel.meta.sent[0], "delivered", wamid="wamid.OUT1")
    await in_state(channel, "delivered")
    await channel.status(channel.meta.sent[0], "failed", wamid="wamid.OUT1", errors=[{"code": 130429}])
    await channel.quiet_facts()
    assert (await channel.outbox())[0]["state"] == "delivered"


async def test_a_dead_token_holds_the_messages_until_another_one_comes(
    channel: Channel, pool: Pool, settings: Settings
) -> None:
    channel.meta.refuse = Faults(meta_error(190, 401, error_subcode=463))
    await channel.hear()

    async def expired() -> bool:
        return bool(await pool.fetchval("select is_token_expired from whatsapp_account"))

    await until(expired)
    another = open_vault(settings).seal("token", NUMBER)  # who was refused the first one may still say so of it
    await pool.execute("update whatsapp_account set is_token_expired = false, token = $1", another)
    await channel.pass_time(lambda: told(channel), step=61.0)
    assert channel.meta.texts() == ["Hello!"]


@pytest.mark.parametrize("code", [10, 200, 299])
async def test_a_permission_that_is_missing_holds_the_messages_until_it_is_given(
    channel: Channel, pool: Pool, code: int
) -> None:
    channel.meta.refuse = Faults(meta_error(code, 403))
    await channel.hear()

    async def found() -> list[str]:
        row = await pool.fetchrow("select findings, is_token_expired from whatsapp_account")
        assert row is not None
        assert not row["is_token_expired"]
        return [finding["code"] for finding in row["findings"]]

    assert await until(found) == ["permission_missing"]
    await channel.pass_time(lambda: told(channel), step=120.0)
    assert channel.meta.texts() == ["Hello!"]


async def test_outside_the_window_nothing_is_sent(channel: Channel, pool: Pool) -> None:
    await channel.hear()
    await channel.told(1)
    await channel.quiet()
    channel.advance(timedelta(hours=24))
    await pool.execute(
        """insert into outbox(id, workspace_id, phone_number_id, chat_id, kind, body, due_at, created_at)
           select 'out_late', workspace_id, phone_number_id, id, 'text', '{"type": "text"}', $1, $1
           from whatsapp_chat""",
        channel.clock.now(),
    )
    await ring(
        pool,
        mailbox_id=f"sender:{NUMBER}",
        workspace_id=WORKSPACE,
        kind="sender",
        due_at=channel.clock.now(),
    )

    async def refused() -> dict[str, Any] | None:
        row = await pool.fetchrow("select state, error from outbox where id = 'out_late' and state = 'failed'")
        return dict(row) if row else None

    row = await until(refused)
    assert row is not None
    assert row["error"]["code"] == 131047
    assert len(channel.meta.sent) == 1


async def test_the_rate_of_the_pair_makes_messages_wait(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    slow = settings.model_copy(update={"pair_burst": 2})
    async with running_channel(pool, dsn, clock, slow) as channel:
        for count in (1, 2):
            await channel.hear(f"question {count}")
            await channel.told(count)
        await channel.hear("question 3")

        async def queued() -> bool:
            return len(await channel.outbox()) == 3

        await until(queued)
        await channel.quiet()
        assert len(channel.meta.sent) == 2
        clock.advance(timedelta(seconds=6))
        await channel.told(3)


async def test_every_order_of_any_statuses_ends_at_the_highest(pool: Pool, clock: ManualClock) -> None:
    """A message for each order of each set of states: at each moment it is at the highest that was told."""
    orders = [order for size in range(1, len(LATTICE) + 1) for order in permutations(LATTICE, size)]
    ids = [f"out_{number}" for number in range(len(orders))]
    await _messages(pool, clock, ids)
    for told in range(len(LATTICE)):
        facts = [
            Fact(message, order[told], clock.now(), f"wamid.{message}")
            for message, order in zip(ids, orders, strict=True)
            if told < len(order)
        ]
        await raise_states(pool, facts, clock.now())
        found = {row["id"]: row["state"] for row in await pool.fetch("select id, state from outbox")}
        highest = [max(order[: told + 1], key=LATTICE.index) for order in orders]
        assert [found[message] for message in ids] == highest
    rows = {row["id"]: row for row in await pool.fetch("select * from outbox")}
    for message, order in zip(ids, orders, strict=True):
        assert {state for state in LATTICE if rows[message][f"{state}_at"] is not None} == set(order)


async def test_statuses_of_one_commit_and_repeated_ones_count_once(pool: Pool, clock: ManualClock) -> None:
    await _one_message(pool, clock)
    facts = [Fact("out_1", state, clock.now(), "wamid.1") for state in ("read", "sent", "delivered", "sent")]
    for _ in range(3):
        await raise_states(pool, facts, clock.now())
    events = await pool.fetch("select data ->> 'state' as state, seq from conversation_event order by seq")
    assert sorted(row["state"] for row in events) == ["delivered", "read", "sent"]
    assert [row["seq"] for row in events] == [1, 2, 3]
    assert await pool.fetchval("select last_seq from conversation") == 3


async def test_a_status_finds_its_message_by_wamid_alone(pool: Pool, clock: ManualClock) -> None:
    await _one_message(pool, clock)
    await raise_states(pool, [Fact("out_1", "accepted", clock.now(), "wamid.1")], clock.now())
    await raise_states(pool, [Fact(None, "delivered", clock.now(), "wamid.1")], clock.now())
    await raise_states(pool, [Fact(None, "delivered", clock.now(), "wamid.of-somebody-else")], clock.now())
    assert await pool.fetchval("select state from outbox") == "delivered"


async def _one_message(pool: Pool, clock: ManualClock) -> None:
    await _messages(pool, clock, ["out_1"])


async def _messages(pool: Pool, clock: ManualClock, ids: list[str]) -> None:
    now = clock.now()
    await pool.execute("insert into workspace(id, name, created_at) values ('ws_1', 'Test', $1)", now)
    await pool.execute(
        """insert into conversation(id, workspace_id, agent_id, branch_id, version_id, source, text_only, status,
             started_at) values ('conv_1', 'ws_1', 'a', 'b', 'v', 'whatsapp', true, 'in-progress', $1)""",
        now,
    )
    await pool.execute(
        """insert into outbox(id, workspace_id, phone_number_id, chat_id, conversation_id, kind, body, due_at,
             created_at, state)
           select id, 'ws_1', '1', '1:2', 'conv_1', 'text', '{"type": "text"}', $1, $1, 'sending'
           from unnest($2::text[]) as id""",
        now,
        ids,
    )


async def test_the_answer_to_a_person_is_learned(channel: Channel, pool: Pool) -> None:
    await channel.hear()
    await channel.told(1)
    await channel.quiet()
    ids = await pool.fetch("select identifier from chat_identity")
    assert ANN in {row["identifier"] for row in ids}


@pytest.mark.parametrize(
    ("ago", "frozen", "waits"),
    [
        pytest.param(300, 0, 300, id="nobody listened until this process began"),
        pytest.param(0, 2, 0, id="this process listened all along"),
        pytest.param(0, 60, 60, id="this process was frozen"),
        pytest.param(7200, 0, 3600, id="nobody listened for long"),
    ],
)
async def test_what_a_crash_left_in_the_air_waits_as_long_as_nobody_listened(
    channel: Channel, pool: Pool, ago: float, frozen: float, waits: float
) -> None:
    await channel.hear()
    await channel.told(1)
    await channel.quiet()
    attempted = channel.clock.now() - timedelta(seconds=ago)
    channel.advance(timedelta(seconds=frozen))
    async with pool.acquire() as connection, connection.transaction():  # who holds the number sees both or nothing
        await connection.execute("update outbox set state = 'sending', attempted_at = $1", attempted)
        await connection.execute(
            "update mailbox set owner = null, lease_until = null, epoch = epoch + 1 where kind = 'sender'"
        )
    await ring(pool, mailbox_id=f"sender:{NUMBER}", workspace_id=WORKSPACE, kind="sender", due_at=channel.clock.now())
    row = await in_state(channel, "unknown")
    assert row["due_at"] == channel.clock.now() + timedelta(seconds=waits) + GRACE


async def test_what_a_commit_left_in_the_air_is_found_while_the_number_is_held(channel: Channel, pool: Pool) -> None:
    """A turn that was cancelled in its commit may have marked its message: nobody sends it then."""
    await channel.hear()
    await channel.told(1)
    await channel.quiet()
    await pool.execute("update outbox set state = 'sending', attempted_at = $1", channel.clock.now() - GRACE)
    held = await pool.fetchval("select epoch from mailbox where kind = 'sender' and owner is not null")
    await ring(pool, mailbox_id=f"sender:{NUMBER}", workspace_id=WORKSPACE, kind="sender", due_at=channel.clock.now())
    row = await in_state(channel, "unknown")
    assert row["due_at"] == channel.clock.now() + GRACE
    assert held is not None
