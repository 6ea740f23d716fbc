"""The cookie of the console."""

import base64
from datetime import timedelta

import pytest

from greenline.clock import ManualClock
from greenline.store.vault import Vault
from greenline.web.session import LIFE, seal, unseal


def test_a_cookie_holds_its_key_until_its_time_is_over(clock: ManualClock) -> None:
    vault = Vault(b"k" * 32)
    cookie = seal(vault, clock, "gl_secret")
    assert "gl_secret" not in cookie
    assert unseal(vault, clock, cookie) == "gl_secret"
    clock.advance(LIFE + timedelta(seconds=1))
    assert unseal(vault, clock, cookie) is None


@pytest.mark.parametrize("cookie", ["", "x", "é", "AAAA", "A" * 400])
def test_a_cookie_that_is_not_ours_opens_nothing(cookie: str, clock: ManualClock) -> None:
    assert unseal(Vault(b"k" * 32), clock, cookie) is None


def test_a_secret_of_another_kind_is_no_cookie(clock: ManualClock) -> None:
    vault = Vault(b"k" * 32)
    other = base64.urlsafe_b64encode(vault.seal('{"key": "x", "until": 9e12}', "a number's id")).decode()
    assert unseal(vault, clock, other) is None
    assert unseal(Vault(b"o" * 32), clock, seal(vault, clock, "gl_secret")) is None
