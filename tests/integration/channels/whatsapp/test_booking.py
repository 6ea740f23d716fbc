"""An answer that leaves with the commit of its turn: only where nothing waits before it, and never twice."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest

from greenline.channels.whatsapp import sender
from greenline.channels.whatsapp.commit import Committer, QueuedMessage, TurnCommit
from greenline.channels.whatsapp.compose import Composed
from greenline.channels.whatsapp.held_number import Booking
from greenline.channels.whatsapp.sender import Sender
from greenline.checkpoints import install_hook
from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.mailbox import Claim, ring
from greenline.store.pool import Pool
from greenline.store.wakeups import Wakeups
from support.channel import ANN, Channel, running_channel
from support.rows import NUMBER, WORKSPACE
from support.scripted import Answer
from support.wait import PATIENCE_SECONDS, until

BEN = "15551239999"


@pytest.fixture
def channel(channel: Channel) -> Channel:
    channel.model.say = lambda request: f"answer to {request.messages[-1].text}"
    return channel


@pytest.fixture
def passed() -> Iterator[list[str]]:
    """The checkpoints that are passed."""
    names: list[str] = []
    install_hook(names.append)
    yield names
    install_hook(None)


async def idle(passed: list[str]) -> bool:
    """Whether the sender has looked once more after the last message and waits for the next."""
    return passed[-2:] == ["sender.settled", "sender.looked"]


async def test_it_leaves_without_a_look_at_the_queue(channel: Channel, passed: list[str]) -> None:
    await channel.hear("one")
    await channel.told(1)
    await until(lambda: idle(passed))
    passed.clear()
    channel.clock.advance(timedelta(seconds=1))  # the number has its own rate
    await channel.hear("two")
    assert await channel.told(2) == ["answer to one", "answer to two"]
    await channel.quiet()
    sent = [name for name in passed if name.startswith(("turn.fin", "sender."))]
    assert sent == ["turn.finishing", "sender.marked", "turn.finished", "sender.posted", "sender.settled"]
    assert [(row["state"], row["attempt"]) for row in await channel.outbox()] == [("accepted", 1)] * 2


async def test_it_keeps_behind_a_message_without_certain_outcome(channel: Channel) -> None:
    await channel.hear("one", BEN)
    await channel.told(1, BEN)
    answers = [Answer(cut=True)]
    channel.meta.refuse = lambda message: answers.pop() if answers else None
    await channel.hear("two")

    async def unknown() -> bool:
        return [row["state"] for row in await channel.outbox()] == ["accepted", "unknown"]

    await until(unknown)
    channel.clock.advance(timedelta(seconds=1))
    await channel.hear("three")

    async def queued() -> bool:
        return [row["state"] for row in await channel.outbox()] == ["accepted", "unknown", "queued"]

    await until(queued)
    assert channel.meta.texts() == []
    channel.clock.advance(timedelta(seconds=20))
    assert await channel.told(2) == ["answer to two", "answer to three"]


async def test_it_stays_in_the_queue_where_another_has_the_number(channel: Channel, passed: list[str]) -> None:
    """The lease of the number was lost without a word: the commit's own look at the epoch is what counts."""
    await channel.hear("one")
    await channel.told(1)
    await until(lambda: idle(passed))
    await channel.pool.execute(
        "update mailbox set epoch = epoch + 1, owner = null, lease_until = null where id = $1", f"sender:{NUMBER}"
    )
    passed.clear()
    channel.clock.advance(timedelta(seconds=1))  # the number has its own rate
    await channel.hear("two")
    assert await channel.told(2) == ["answer to one", "answer to two"]
    await channel.quiet()
    assert "sender.looked" in passed
    assert [row["attempt"] for row in await channel.outbox()] == [1, 1]


async def test_the_pair_keeps_its_rate(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, passed: list[str]
) -> None:
    settings = settings.model_copy(update={"pair_burst": 2})
    async with running_channel(pool, dsn, clock, settings) as channel:
        await channel.hear("1")
        await until(lambda: idle(passed))
        clock.advance(timedelta(seconds=1))
        await channel.hear("2")
        await channel.told(2)
        await channel.quiet()
        await channel.hear("3")

        async def waits() -> bool:
            return [row["state"] for row in await channel.outbox()] == ["accepted", "accepted", "queued"]

        await until(waits)
        clock.advance(timedelta(seconds=settings.pair_interval_seconds))
        assert len(await channel.told(3, ANN)) == 3


async def test_an_idle_number_makes_room_where_many_are_held(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process holds so many numbers and no more: the messages of the others would wait for the idle ones."""
    monkeypatch.setattr(sender, "CROWD", 0)
    monkeypatch.setattr(sender, "CROWDED_LINGER_SECONDS", 0.01)
    settings = settings.model_copy(update={"sender_linger_seconds": 600.0})
    async with running_channel(pool, dsn, clock, settings) as channel:
        await channel.hear("one")
        await channel.told(1)

        async def given_back() -> bool:
            return await pool.fetchval("select owner is null from mailbox where kind = 'sender'") is True

        await until(given_back)


async def test_one_booked_while_the_queue_is_read_keeps_the_order(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the sender has just read of the chat waits for the landing of the booked one: there is one in the air."""
    senders: list[Sender] = []
    handle = Sender.handle

    async def seen(self: Sender, claim: Claim) -> None:
        senders.append(self)
        await handle(self, claim)

    monkeypatch.setattr(Sender, "handle", seen)
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    names: list[str] = []
    install_hook(names.append)
    try:
        async with running_channel(pool, dsn, clock, settings) as channel:
            await channel.hear("one")
            await channel.told(1)
            await until(lambda: idle(names))
            clock.advance(timedelta(seconds=1))
            chat = dict(await pool.fetchrow("select id as chat_id, * from whatsapp_chat") or {})
            bookings: list[Booking | None] = []

            def book(name: str) -> None:
                if name == "sender.looked" and not bookings:
                    new = {"id": "out_b", "kind": "text", "attempt": 0, "due_at": clock.now(), "state": "queued"}
                    new |= {"created_at": clock.now(), "unknown_outcomes": 0}
                    bookings.append(senders[-1].book(NUMBER, {**chat, **new}))

            install_hook(book)
            await pool.execute(
                """insert into outbox(id, workspace_id, phone_number_id, chat_id, kind, body, due_at, created_at)
                   values ('out_a', $1, $2, $3, 'text', $4, $5, $5)""",
                WORKSPACE, NUMBER, chat["chat_id"], {"type": "text", "text": {"body": "queued"}}, clock.now(),
            )  # fmt: skip
            await ring(pool, mailbox_id=f"sender:{NUMBER}", workspace_id=WORKSPACE, kind="sender", due_at=clock.now())
            await until(lambda: _async(bool(bookings)))
            [booking] = bookings
            assert booking is not None
            await channel.settled()
            assert len(channel.meta.texts()) == 1
            booking.settle(leaves=False)
            assert (await channel.told(2))[-1] == "queued"
            await channel.quiet()
            assert faults == []
    finally:
        install_hook(None)


async def test_it_leaves_though_its_turn_is_cancelled_in_the_commit(clock: ManualClock) -> None:
    """The lease of a chat is renewed while its turn is written: that it is not held any more cancels the turn."""
    written = asyncio.Event()

    class SlowPool:
        async def fetch(self, *_: object) -> list[dict[str, object]]:
            await written.wait()
            return [{"mailbox_id": "chat", "epoch": 1, "has_more": False, "leaves": True}]

    booking = Booking({"id": "out_1"}, asyncio.get_running_loop().create_future())
    committer = Committer(cast("Pool", SlowPool()), cast("Wakeups", None), clock, lambda *_: booking)
    turn = TurnCommit(Claim("chat", WORKSPACE, 1, 1, 0, (), ()), clock.now())
    turn.person = {"last_user_message_at": clock.now()}
    turn.outbox.append(QueuedMessage("out_1", NUMBER, "conv_1", Composed("text", {}, ())))
    task = asyncio.create_task(committer.commit(turn))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    written.set()
    assert await asyncio.wait_for(booking.leaves, PATIENCE_SECONDS)


async def _async(value: bool) -> bool:
    return value
