"""Recipient ids and the other ids of the same person."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.recipient import InvalidRecipient, aliases, check_recipient, is_bsuid, to_e164


@pytest.mark.parametrize("user_id", ["14155552671", "5511987654321", "US.13491208655302741918", "US.ENT.118A"])
def test_ids_that_are_accepted(user_id: str) -> None:
    assert check_recipient(user_id) == user_id


@pytest.mark.parametrize("user_id", ["+14155552671", "1 415 555 2671", "1-415-555-2671", "+1 (415) 555-2671"])
def test_other_ways_to_write_a_number_are_refused_with_the_right_one(user_id: str) -> None:
    with pytest.raises(InvalidRecipient, match="14155552671"):
        check_recipient(user_id)


@pytest.mark.parametrize(
    "user_id", ["", "abc", "0049151", "123", "1" * 16, "US.", "us.13", "١٤١٥٥٥٥٢٦٧١", "1415555267\n1"]
)
def test_what_is_no_id_is_refused(user_id: str) -> None:
    with pytest.raises(InvalidRecipient):
        check_recipient(user_id)


def test_scoped_ids() -> None:
    assert is_bsuid("US.13491208655302741918")
    assert not is_bsuid("14155552671")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5511987654321", "551187654321"),
        ("5215512345678", "525512345678"),
        ("5491123456789", "541123456789"),
    ],
)
def test_aliases_lead_both_ways(one: str, other: str) -> None:
    assert aliases(one) == (other,)
    assert aliases(other) == (one,)


@pytest.mark.parametrize("wa_id", ["14155552671", "551123456789", "4915112345678", "521", ""])
def test_numbers_without_another_form(wa_id: str) -> None:
    assert aliases(wa_id) == ()


@given(st.from_regex(r"(55|52|54)[0-9]{9,12}", fullmatch=True))
def test_an_alias_of_an_alias_is_the_number_itself(wa_id: str) -> None:
    for other in aliases(wa_id):
        assert wa_id in aliases(other)
        assert other != wa_id


@given(st.text(max_size=40))
def test_any_text_is_accepted_or_refused(user_id: str) -> None:
    with contextlib.suppress(InvalidRecipient):
        assert check_recipient(user_id) == user_id


@pytest.mark.parametrize("shown", ["+1 415-555-2671", "14155552671", "1 (415) 555 2671"])
def test_numbers_are_written_with_a_plus(shown: str) -> None:
    assert to_e164(shown) == "+14155552671"
