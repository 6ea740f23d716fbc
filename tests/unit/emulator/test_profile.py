"""Business profiles and their limits."""

from typing import Any

import pytest

from greenline.emulator import profile
from greenline.emulator.errors import MetaError
from greenline.emulator.world import Number


@pytest.fixture
def number() -> Number:
    return Number("1", "2", "+1", "Fern")


def test_a_new_profile_has_every_field_that_clients_read(number: Number) -> None:
    assert profile.shown(number) == {
        "messaging_product": "whatsapp",
        "about": "Hey there! I am using WhatsApp.",
        "address": "",
        "description": "",
        "email": "",
        "vertical": "UNDEFINED",
        "websites": [],
    }


def test_a_change_leaves_the_rest(number: Number) -> None:
    profile.change(number, {"messaging_product": "whatsapp", "vertical": "RETAIL", "hologram": 1})
    profile.change(number, {"websites": ["https://x.example"]})
    shown = profile.shown(number)
    assert (shown["vertical"], shown["websites"], "hologram" in shown) == ("RETAIL", ["https://x.example"], False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"about": ""},
        {"about": "x" * 140},
        {"about": None},
        {"address": "x" * 257},
        {"description": "x" * 513},
        {"email": ["x"]},
        {"vertical": "PLANTS"},
        {"vertical": None},
        {"websites": "https://x.example"},
        {"websites": ["nowhere"]},
        {"websites": ["https://x.example/" + "x" * 256]},
        {"websites": ["https://x.example"] * 3},
    ],
)
def test_what_meta_refuses_is_refused(number: Number, wrong: dict[str, Any]) -> None:
    with pytest.raises(MetaError) as refused:
        profile.change(number, {"address": "Here", **wrong})
    assert refused.value.code == 100
    assert number.profile == {}
