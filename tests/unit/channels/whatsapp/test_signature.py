"""Signatures over raw bytes, and the handshake."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.signature import answer_handshake, is_signed

SECRET = "0123456789abcdef0123456789abcdef"


def sign(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@given(st.binary(max_size=500))
def test_what_a_known_secret_signed_is_accepted(body: bytes) -> None:
    assert is_signed(body, sign(body), [SECRET])
    assert is_signed(body, sign(body), ["the next secret", SECRET])
    assert is_signed(body, sign(body), [SECRET, "the next secret"])


@given(st.binary(max_size=200), st.integers(0, 199), st.integers(1, 255))
def test_no_changed_byte_is_accepted(body: bytes, place: int, flip: int) -> None:
    changed = bytearray(body or b"x")
    changed[place % len(changed)] ^= flip
    assert not is_signed(bytes(changed), sign(body or b"x"), [SECRET])


@given(st.binary(max_size=50), st.text(max_size=80))
def test_no_other_header_is_accepted(body: bytes, header: str) -> None:
    assert not is_signed(body, header, [SECRET])
    assert not is_signed(body, f"sha256={header}", [SECRET])


def test_headers_that_are_almost_right() -> None:
    good = sign(b"{}")
    for header in (
        None,
        "",
        good.removeprefix("sha256="),
        good.replace("sha256", "sha1"),
        good[:-1],
        f"{good}0",
        f"{good}\n",
        f" {good}",
        good.upper(),
    ):
        assert not is_signed(b"{}", header, [SECRET])


def test_without_a_secret_nothing_is_accepted() -> None:
    assert not is_signed(b"{}", sign(b"{}", ""), [])
    assert not is_signed(b"{}", sign(b"{}"), ["another"])


def test_escapes_are_not_undone_before_the_signature() -> None:
    wire = rb'{"mime_type":"audio\/ogg","name":"Jos\u00e9","mail":"a\u0040b.c"}'
    assert is_signed(wire, sign(wire), [SECRET])
    assert not is_signed(wire.replace(rb"\/", b"/"), sign(wire), [SECRET])


def test_the_handshake_answers_with_the_challenge_as_it_came() -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "01158201444", "hub.verify_token": "géheim"}
    assert answer_handshake(query, "géheim") == "01158201444"


@pytest.mark.parametrize(
    "change",
    [
        {"hub.mode": "unsubscribe"},
        {"hub.verify_token": "wrong"},
        {"hub.verify_token": ""},
        {"hub.verify_token": "\ud800"},
    ],
)
def test_a_wrong_handshake_is_refused(change: dict[str, str]) -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": "secret", **change}
    assert answer_handshake(query, "secret") is None


def test_a_handshake_needs_a_token_on_our_side_and_a_challenge_on_theirs() -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": ""}
    assert answer_handshake(query, None) is None
    assert answer_handshake(query, "") is None
    assert answer_handshake({"hub.mode": "subscribe", "hub.verify_token": "secret"}, "secret") is None
