"""Who can be blocked, how many, and how a part that fails is told."""

from typing import Any

import pytest

from greenline.emulator.blocks import LIST_SIZE, PER_REQUEST, change, listed
from greenline.emulator.errors import MetaError
from greenline.emulator.world import WINDOW, Number, Person, World

NOW = 1_000_000.0


@pytest.fixture
def number() -> Number:
    return Number("1", "2", "+1 555-0100", "Fern")


@pytest.fixture
def world(number: Number) -> World:
    world = World(numbers={number.id: number})
    for place, written in enumerate((NOW - 60, NOW - WINDOW)):
        person = Person(f"p{place}", "Ann", f"1555010000{place}", f"US.{place}")
        world.people[person.id] = person
        world.chat(person, number).window_until = written + WINDOW
    world.people["p2"] = Person("p2", "Bo", None, "US.2")
    world.chat(world.people["p2"], number).window_until = NOW + 1
    return world


def body(*users: str) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "block_users": [{"user": user} for user in users]}


def test_who_wrote_lately_is_blocked_and_unblocked(world: World, number: Number) -> None:
    done = change(world, number, body("+15550100000", "US.2"), NOW, blocking=True)
    assert done["block_users"] == {
        "added_users": [{"input": "+15550100000", "wa_id": "15550100000"}, {"input": "US.2", "user_id": "US.2"}]
    }
    assert listed(world, number) == [
        {"messaging_product": "whatsapp", "user_id": "US.0", "wa_id": "15550100000"},
        {"messaging_product": "whatsapp", "user_id": "US.2"},
    ]
    later = NOW + 2 * WINDOW
    change(world, number, body("15550100000"), later, blocking=True)  # who is blocked can be blocked again
    gone = change(world, number, body("15550100000"), later, blocking=False)
    assert gone["block_users"] == {"removed_users": [{"input": "15550100000", "wa_id": "15550100000"}]}
    assert list(number.blocked) == ["p2"]


def test_what_fails_is_told_for_each_and_the_rest_is_done(world: World, number: Number) -> None:
    with pytest.raises(MetaError) as refused:
        change(world, number, body("15550100000", "15550100001", "999"), NOW, blocking=True)
    answer = refused.value.envelope("trace")
    assert (refused.value.status, answer["error"]["code"]) == (400, 139100)
    assert [user["wa_id"] for user in answer["block_users"]["added_users"]] == ["15550100000"]
    late, unknown = answer["block_users"]["failed_users"]
    assert (late["wa_id"], late["errors"][0]["code"]) == ("15550100001", 131047)
    assert (sorted(unknown), unknown["errors"][0]["code"]) == (["errors", "input"], 131026)
    assert list(number.blocked) == ["p0"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"messaging_product": "whatsapp"},
        {"messaging_product": "whatsapp", "block_users": []},
        {"messaging_product": "whatsapp", "block_users": "15550100000"},
        {"messaging_product": "whatsapp", "block_users": ["15550100000"]},
        {"messaging_product": "whatsapp", "block_users": [{"user": 1}]},
        body(*["15550100000"] * (PER_REQUEST + 1)),
    ],
)
def test_a_body_of_another_shape_is_refused(world: World, number: Number, wrong: dict[str, Any]) -> None:
    with pytest.raises(MetaError) as refused:
        change(world, number, wrong, NOW, blocking=True)
    assert refused.value.code == 100


def test_the_list_has_an_end(world: World, number: Number) -> None:
    number.blocked = dict.fromkeys(f"other{place}" for place in range(LIST_SIZE))
    with pytest.raises(MetaError) as refused:
        change(world, number, body("15550100000"), NOW, blocking=True)
    assert refused.value.code == 139101
    assert len(number.blocked) == LIST_SIZE
