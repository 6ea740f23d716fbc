"""How faults are set, and when they act."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from greenline.emulator.app import create_app
from greenline.emulator.fault_kinds import Slow, WebhookDelay, WebhookDuplicate
from greenline.emulator.faults import Faults


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": "hologram"}, "'graph_error', 'graph_timeout'"),
        ({"name": "slow", "secs": 3}, "no parameter secs; there are match, name, probability, seconds, seed, times"),
        ({"name": "slow", "seconds": "x"}, "valid number"),
        ({"name": "graph_error", "code": "x"}, "valid integer"),
        ({"name": "graph_error", "http_status": 200}, "greater than or equal to 400"),
        ({"name": "slow", "probability": 7}, "less than or equal to 1"),
        ({"name": "slow", "match": {"edgy": "messages"}}, "match can name edge, path, phone_number_id, sends"),
        ({"name": "webhook_duplicate", "copies": 1, "fewest": 2}, "fewest is more than copies"),
    ],
)
def test_a_fault_that_could_not_act_is_refused_with_what_there_is(wrong: dict[str, Any], told: str) -> None:
    control = TestClient(create_app())
    answer = control.post("/control/faults", json=wrong)
    assert (answer.status_code, told in answer.text) == (422, True), answer.text
    assert control.get("/control/faults").json()["faults"] == []


def test_a_fault_acts_where_it_fits_as_often_as_told() -> None:
    faults = Faults()
    faults.add(Slow(times=2, match={"sends": "text"}))
    acted = [faults.acting(Slow, sends=what) is not None for what in ("read", "text", "image", "text", "text")]
    assert acted == [False, True, False, True, False]
    assert faults.all()[0].shown()["acted"] == 2


def test_one_of_several_updates_is_enough_to_fit() -> None:
    faults = Faults()
    faults.add(WebhookDelay(match={"field": "calls"}))
    assert faults.acting(WebhookDelay, field=frozenset({"messages", "calls"}))
    assert not faults.acting(WebhookDelay, field=frozenset({"messages"}))


def test_copies_are_drawn_from_the_seed() -> None:
    def drawn(seed: int) -> list[int]:
        fault = WebhookDuplicate(copies=5, fewest=0, seed=seed)
        return [fault.count() for _ in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert set(drawn(1)) == set(range(6))
    assert WebhookDuplicate(copies=3).count() == 3
