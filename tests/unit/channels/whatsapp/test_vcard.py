"""What is read of a vCard, in the forms that phones write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.vcard import MAX_CHARACTERS, MAX_VALUE, MAX_VALUES, VCard, read_vcard

WHATSAPP = """BEGIN:VCARD
VERSION:3.0
N:Stone;Ann;Mary;Dr.;
FN:Dr. Ann Mary Stone
ORG:Acme\\, Inc.;Roses
TITLE:Buyer
item1.TEL;type=CELL;waid=15551230000:+1 (555) 123-0000
item1.X-ABLabel:Mobile
TEL;TYPE="work,voice":tel:+1-555-999
EMAIL;type=INTERNET:ann@example.com
PHOTO;BASE64:AAAA
 BBBB
END:VCARD
BEGIN:VCARD
FN:Somebody else
TEL:1
END:VCARD
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_card_of_a_phone(newline: str) -> None:
    assert read_vcard(WHATSAPP.replace("\n", newline)) == VCard(
        name="Dr. Ann Mary Stone",
        organisation="Acme, Inc., Roses",
        title="Buyer",
        phones=["+1 (555) 123-0000", "+1-555-999"],
        emails=["ann@example.com"],
    )


@pytest.mark.parametrize(
    ("text", "card"),
    [
        ("N:Stone;Ann;;;", VCard(name="Ann Stone")),
        ("N:Stone;Ann;Mary;Dr.;MD", VCard(name="Dr. Ann Mary Stone MD")),
        ("FN:\nN:Stone", VCard(name="Stone")),
        ("fn;charset=utf-8:Änn\\nSt\n one\\; sister", VCard(name="Änn Stone; sister")),
        ("TEL;waid=15551230000:", VCard(phones=["+15551230000"])),
        ("TEL:1\nTEL:1\nTEL:2", VCard(phones=["1", "2"])),
        ("", VCard()),
        ("no card at all\n:\nTEL\n;;;:x", VCard()),
    ],
)
def test_what_a_card_may_lack(text: str, card: VCard) -> None:
    assert read_vcard(text) == card


def test_a_card_is_read_within_bounds() -> None:
    many = "".join(f"TEL:{number}\n" for number in range(MAX_VALUES + 5))
    assert len(read_vcard(many).phones) == MAX_VALUES
    assert read_vcard("FN:" + "a" * 2 * MAX_VALUE).name == "a" * MAX_VALUE
    assert read_vcard("X" * MAX_CHARACTERS + "\nFN:Ann").name == ""
    assert read_vcard("TEL" + ';a="' * (MAX_CHARACTERS // 4)) == VCard()


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    card = read_vcard(text)
    assert "\n" not in card.name
