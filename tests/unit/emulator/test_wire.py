"""Meta's form of JSON, and the signature over exactly those bytes."""

import hashlib
import hmac
import json

from hypothesis import given
from hypothesis import strategies as st

from greenline.emulator.webhooks import sign, wire_form
from greenline.emulator.world import aliases

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(anything)
def test_the_wire_form_is_ascii_and_means_the_same(value: object) -> None:
    body = wire_form(value)
    assert body.isascii()
    assert b"@" not in body
    assert b"/" not in body.replace(b"\\/", b"")
    assert json.loads(body) == value


def test_escapes_are_lowercase() -> None:
    assert wire_form({"a": "é@/"}) == b'{"a":"\\u00e9\\u0040\\/"}'


def test_the_signature_covers_the_escaped_bytes() -> None:
    body = wire_form({"text": "café"})
    expected = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert sign("secret", body)["X-Hub-Signature-256"] == f"sha256={expected}"


def test_spellings_of_a_number_lead_back_to_it() -> None:
    for phone in ("5511987654321", "551187654321", "5215512345678", "525512345678", "5491112345678", "541112345678"):
        for spelling in aliases(phone):
            assert phone in aliases(spelling)
