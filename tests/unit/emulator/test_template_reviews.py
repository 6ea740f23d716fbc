"""A template that people do not want is paused, paused again and disabled."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from greenline.emulator import templates
from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.journal import Journal
from greenline.emulator.reviews import Reviews
from greenline.emulator.webhooks import Webhooks
from greenline.emulator.world import Account, Chat, Message, Number, Person, World
from support.wait import until

NAMED = {"name": "sale", "language": {"code": "en"}}


@dataclass
class Told:
    """What the business is told, instead of webhooks on a wire."""

    updates: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def account_update(self, account: Account, name: str, value: dict[str, Any]) -> None:
        self.updates.append((name, value))

    def titles(self) -> list[str]:
        return [value["other_info"]["title"] for _, value in self.updates if "other_info" in value]

    def states(self) -> list[str]:
        return [value["event"] for _, value in self.updates if "event" in value]

    def scores(self) -> list[str]:
        return [value["new_quality_score"] for _, value in self.updates if "new_quality_score" in value]


class Shop:
    """A business with one approved template, and a person who gets it again and again."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.account = Account("1", "Fern")
        self.told = Told()
        body = {
            "name": "sale",
            "language": "en",
            "category": "MARKETING",
            "components": [{"type": "BODY", "text": "Roses!"}],
        }
        self.template = templates.create(self.account, body, self.clock.now(), Config())
        self.chat = Chat(Person("p", "Ann", "15550100001", "US.1"), Number("2", "1", "+1", "Fern"))
        world = World(accounts={"1": self.account}, chats={("p", "2"): self.chat})
        config = Config(quality_sample=4, quality_yellow_share=0.25, quality_red_share=0.5)
        self.reviews = Reviews(world, config, self.clock, cast("Webhooks", self.told), Journal(self.clock))

    def send(self, count: int) -> list[str]:
        wamids = [f"wamid.{len(self.chat.screen) + place}" for place in range(count)]
        for wamid in wamids:
            message = Message(wamid, "out", "template", {}, self.clock.now(), template_id=self.template["id"])
            self.chat.screen.append(message)
            self.reviews.delivered(self.template["id"], wamid)
        return wamids

    def complain(self) -> None:
        for wamid in self.send(4)[:2]:
            assert self.reviews.unwanted(self.chat, wamid)

    async def status(self, wanted: str) -> None:
        async def is_so() -> bool:
            return bool(self.template["status"] == wanted)

        await until(is_so)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    made = Shop()
    made.reviews.decide(made.account, made.template["id"], "APPROVED")
    yield made
    await made.reviews.aclose()


def refusal(shop: Shop) -> int | None:
    try:
        templates.find(shop.account, NAMED)
    except MetaError as error:
        return error.code
    return None


async def test_two_pauses_and_the_end(shop: Shop) -> None:
    for hours in (3, 6):
        shop.complain()
        assert (shop.template["status"], refusal(shop)) == ("PAUSED", 132015)
        await asyncio.sleep(0)  # the wait begins
        shop.clock.advance(hours * 3600 - 60)
        await asyncio.sleep(0.01)
        assert shop.template["status"] == "PAUSED"
        shop.clock.advance(61)
        await shop.status("APPROVED")
        assert refusal(shop) is None
    shop.complain()
    assert (shop.template["status"], refusal(shop)) == ("DISABLED", 132016)
    assert shop.told.titles() == ["FIRST_PAUSE", "UNPAUSE", "SECOND_PAUSE", "UNPAUSE", "DISABLED"]
    assert shop.told.scores() == ["GREEN", "YELLOW", "RED", "UNKNOWN"] * 2 + ["GREEN", "YELLOW", "RED"]
    assert shop.template["quality_score"]["score"] == "RED"


async def test_few_messages_and_old_ones_say_nothing(shop: Shop) -> None:
    first, *_ = shop.send(3)
    assert shop.reviews.unwanted(shop.chat, first)
    assert shop.reviews.unwanted(shop.chat, first)
    assert shop.told.scores() == []
    shop.clock.advance(8 * 24 * 3600)
    assert not shop.reviews.unwanted(shop.chat)
    shop.send(4)
    assert shop.told.scores() == ["GREEN"]


async def test_a_review_ends_a_pause_before_its_time(shop: Shop) -> None:
    shop.complain()
    shop.reviews.resubmit(shop.account, shop.template["id"])
    assert shop.template["status"] == "PENDING"
    shop.clock.advance(1)
    await shop.status("APPROVED")
    shop.reviews.decide(shop.account, shop.template["id"], "REJECTED")
    shop.clock.advance(4 * 3600)
    await asyncio.sleep(0.01)
    assert shop.template["status"] == "REJECTED"
    assert shop.told.states() == ["APPROVED", "PAUSED", "PENDING", "APPROVED", "REJECTED"]


async def test_a_deleted_template_is_gone_at_once_when_nothing_waits(shop: Shop) -> None:
    shop.reviews.delete(shop.account, shop.template["id"])
    assert shop.told.states() == ["APPROVED", "DELETED"]
    assert shop.account.templates == {}
    assert refusal(shop) == 132001


def waiting(shop: Shop) -> Message:
    """A message of the template that waits for a phone that is offline."""
    message = Message("wamid.1", "out", "template", {}, shop.clock.now(), template_id=shop.template["id"])
    shop.chat.outgoing.append(message)
    return message


async def test_a_deleted_template_stays_until_its_last_message_arrived(shop: Shop) -> None:
    message = waiting(shop)
    shop.reviews.delete(shop.account, shop.template["id"])
    assert (shop.template["status"], refusal(shop)) == ("PENDING_DELETION", 132001)
    assert edit_refused(shop)
    shop.reviews.delivered(shop.template["id"], message.id)
    assert shop.told.states() == ["APPROVED", "PENDING_DELETION"], "another one is still under way"
    shop.chat.outgoing.clear()
    shop.reviews.settled(shop.template["id"])
    assert shop.told.states() == ["APPROVED", "PENDING_DELETION", "DELETED"]
    assert shop.account.templates == {}


async def test_a_deleted_template_stays_for_thirty_days_at_most(shop: Shop) -> None:
    waiting(shop)
    shop.reviews.delete(shop.account, shop.template["id"])
    assert shop.template["id"] in shop.account.templates
    await asyncio.sleep(0)  # the wait begins
    shop.clock.advance(30 * 24 * 3600 + 1)

    async def gone() -> bool:
        return shop.account.templates == {}

    await until(gone)
    assert shop.told.states()[-1] == "DELETED"


def edit_refused(shop: Shop) -> bool:
    try:
        templates.edit(shop.template, {"category": "UTILITY"})
    except MetaError as error:
        return error.code == 100
    return False
