"""What may have left is sent again only when Meta could have told of it: nobody listens while no server runs."""

from datetime import timedelta
from typing import Any

import pytest

from greenline.channels.whatsapp.pacing import UNHEARD
from support.channel import Channel
from support.scripted import Answer
from support.wait import until

GRACE = timedelta(seconds=15)
AWAY = timedelta(minutes=2)


@pytest.fixture
async def lost(channel: Channel) -> dict[str, Any]:
    """A message of which nobody knows whether Meta has it."""
    attempts: list[dict[str, Any]] = []

    def cut(message: dict[str, Any]) -> Answer | None:
        attempts.append(message)
        return Answer(cut=True) if len(attempts) == 1 else None

    channel.meta.refuse = cut
    await channel.hear()
    await state(channel, "unknown")
    return attempts[0]


async def state(channel: Channel, name: str) -> None:
    """Return when the only message is in a state."""

    async def found() -> bool:
        return [row["state"] for row in await channel.outbox()] == [name]

    await until(found)


async def waits(channel: Channel, seconds: timedelta) -> None:
    """The sender has looked whether the message may be sent again, and leaves it for later."""

    async def left() -> bool:
        return [row["due_at"] for row in await channel.outbox()] == [channel.clock.now() + seconds]

    await until(left)
    assert channel.meta.texts() == []


async def test_a_server_that_was_away_hears_of_it_first(channel: Channel, lost: dict[str, Any]) -> None:
    await channel.stop()
    channel.clock.advance(AWAY)
    await channel.start()
    await waits(channel, GRACE)
    await channel.status(lost, "sent")
    await state(channel, "sent")


async def test_what_meta_tells_nothing_of_is_sent_again(channel: Channel, lost: dict[str, Any]) -> None:
    await channel.stop()
    channel.clock.advance(AWAY)
    await channel.start()
    await waits(channel, GRACE)
    channel.clock.advance(AWAY + GRACE)
    assert await channel.told(1) == ["Hello!"]


async def test_who_was_heard_before_the_server_left_proves_nothing(channel: Channel, lost: dict[str, Any]) -> None:
    await channel.reached()
    await channel.stop()
    channel.clock.advance(AWAY)
    await channel.start()
    await waits(channel, GRACE)


async def test_a_server_to_which_meta_does_not_deliver_waits_for_one_that_listens(
    channel: Channel, lost: dict[str, Any]
) -> None:
    await channel.reached()
    await channel.stop()
    await channel.start(takes_webhooks=False)
    channel.clock.advance(AWAY)
    await waits(channel, GRACE)
    await channel.start()
    channel.clock.advance(GRACE)
    await waits(channel, GRACE)
    await channel.status(lost, "sent")
    await state(channel, "sent")


async def test_where_nobody_listens_it_is_sent_again_in_the_end(channel: Channel, lost: dict[str, Any]) -> None:
    await channel.stop()
    await channel.start(takes_webhooks=False)
    channel.clock.advance(UNHEARD)
    assert await channel.told(1) == ["Hello!"]


async def test_a_status_that_has_come_counts_before_it_is_applied(channel: Channel, lost: dict[str, Any]) -> None:
    await channel.whatsapp.facts.stop()
    await channel.status(lost, "sent")
    channel.clock.advance(GRACE)
    await waits(channel, timedelta(seconds=1))
    channel.whatsapp.facts.start()
    await state(channel, "sent")
