from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from greenline.agents.config.access import AuthSettings
from greenline.channels.socket.access import check_auth
from greenline.channels.socket.errors import Refused
from greenline.channels.socket.signing import Signature, seal, signed_url, unseal
from greenline.clock import ManualClock
from greenline.store.vault import Vault

LISTED = AuthSettings.model_validate({"allowlist": [{"hostname": "Example.com"}, {"hostname": "localhost:3000"}]})
STRICT = LISTED.model_copy(update={"require_origin_header": True})
CLOSED = AuthSettings(enable_auth=True)


@pytest.mark.parametrize(
    ("auth", "origin", "signature", "key", "reason"),
    [
        (AuthSettings(), None, False, False, None),
        (AuthSettings(require_origin_header=True), None, False, False, None),
        (CLOSED, None, False, False, "authorization"),
        (CLOSED, None, True, False, None),
        (CLOSED, None, False, True, None),
        (LISTED, "https://example.com", False, False, None),
        (LISTED, "https://example.com:8443", False, False, None),
        (LISTED, "https://shop.example.com", False, False, "allowlist"),
        (LISTED, "http://localhost:3000", False, False, None),
        (LISTED, "http://localhost:3001", False, False, "allowlist"),
        (LISTED, "null", False, False, "allowlist"),
        (LISTED, "http://[::1", False, False, "allowlist"),
        (LISTED, None, False, False, None),
        (STRICT, None, False, False, "Origin"),
        (STRICT, None, False, True, None),
    ],
)
def test_rules_of_an_agent(
    auth: AuthSettings, origin: str | None, signature: bool, key: bool, reason: str | None
) -> None:
    if reason is None:
        check_auth(auth, origin, has_signature=signature, has_key=key)
    else:
        with pytest.raises(Refused, match=reason):
            check_auth(auth, origin, has_signature=signature, has_key=key)


def test_a_signature_lives_a_quarter_of_an_hour(clock: ManualClock) -> None:
    vault, signature = Vault(b"k" * 32), Signature("w", "agent_1", "b", None, "staging", "conv_1")
    token = seal(vault, clock, signature)
    assert unseal(vault, clock, token) == signature
    watched = replace(signature, debug=True)
    assert unseal(vault, clock, seal(vault, clock, watched)) == watched
    clock.advance(timedelta(minutes=15, seconds=1))
    with pytest.raises(Refused, match="expired"):
        unseal(vault, clock, token)


@pytest.mark.parametrize("token", ["", "abc", "é", "AAAA" * 20])
def test_a_made_up_signature_is_refused(clock: ManualClock, token: str) -> None:
    with pytest.raises(Refused, match="not valid"):
        unseal(Vault(b"k" * 32), clock, token)


def test_a_signed_url_is_a_socket_url() -> None:
    assert signed_url("https://a.example/", "T", Signature("w", "agent_1", conversation_id="conv_1")) == (
        "wss://a.example/v1/convai/conversation?agent_id=agent_1&conversation_signature=T&conversation_id=conv_1"
    )
    assert signed_url("http://a:8080", "T", Signature("w", "agent_1")).startswith("ws://a:8080/v1/")
