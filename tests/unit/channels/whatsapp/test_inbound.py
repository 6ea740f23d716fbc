"""What every type of message becomes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.inbound import (
    MAX_TEXT,
    UNKNOWN_TIME,
    InboundFile,
    InboundMessage,
    read_identity,
    read_message,
    read_preference,
)

BOB = "[Contact: Bob Stone, Cook Acme, phone +1 555 123, e-mail bob@example.com, address 1 Main St, Town]"
CONTACT = {"profile": {"name": "Ann", "username": "ann"}, "wa_id": "15551230000", "user_id": "US.13"}


def read(kind: str = "text", contact: Any = CONTACT, **message: Any) -> InboundMessage:
    base = {"from": "15551230000", "id": "wamid.1", "timestamp": "1790000000", "type": kind}
    return read_message({"message": {**base, **message}, "contact": contact})


def test_text_and_who_wrote_it() -> None:
    message = read(text={"body": "Where is my order?"})
    assert message.text == "Where is my order?"
    assert (message.type, message.medium, message.wamid) == ("text", "text", "wamid.1")
    assert message.at == datetime.fromtimestamp(1790000000, UTC)
    assert (message.wa_id, message.bsuid) == ("15551230000", "US.13")
    assert (message.profile_name, message.username) == ("Ann", "ann")
    assert not message.silent
    assert not message.unsupported


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        (
            "location",
            {"latitude": 37.77, "longitude": -122.41, "name": "HQ", "address": "1 Main St"},
            "[Location: HQ, 1 Main St, at 37.77, -122.41]",
        ),
        ("location", {"latitude": "37.77", "longitude": "-122.41"}, "[Location: at 37.77, -122.41]"),
        ("location", {}, "[Location: not given]"),
        (
            "contacts",
            [
                {
                    "name": {"formatted_name": "Bob Stone"},
                    "org": {"company": "Acme", "title": "Cook"},
                    "phones": [{"phone": "+1 555 123", "wa_id": "1555123"}],
                    "emails": [{"email": "bob@example.com"}],
                    "addresses": [{"street": "1 Main St", "city": "Town"}],
                },
                {"name": {"first_name": "Cy"}},
            ],
            "\n".join([BOB, "[Contact: Cy]"]),
        ),
        (
            "contacts",
            [{"origin": "contact_request", "vcard": "BEGIN:VCARD\nFN:Ann Stone\nTEL:+1 555 123\nEND:VCARD"}],
            "[Contact, as asked for: Ann Stone, phone +1 555 123]",
        ),
        (
            "contacts",
            [{"origin": "other", "name": {"formatted_name": "Bob"}, "vcard": "FN:Robert\nEMAIL:bob@example.com"}],
            "[Contact: Bob, e-mail bob@example.com]",
        ),
        ("contacts", [{"vcard": 7, "origin": []}], "[Contact: no name]"),
        ("button", {"text": "Yes", "payload": "confirm"}, "[Button: Yes (id: confirm)]"),
        ("button", {"text": "Yes", "payload": "Yes"}, "[Button: Yes]"),
        (
            "interactive",
            {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes, please"}},
            "[Button: Yes, please (id: yes)]",
        ),
        (
            "interactive",
            {"type": "list_reply", "list_reply": {"id": "r1", "title": "Roses", "description": "red"}},
            "[Chosen from the list: Roses – red (id: r1)]",
        ),
        (
            "interactive",
            {
                "type": "nfm_reply",
                "nfm_reply": {"name": "address", "response_json": '{"city":"Rome","flow_token":"x"}'},
            },
            "[Filled-in form “address”]\ncity: Rome",
        ),
        (
            "order",
            {
                "catalog_id": "77",
                "text": "Please hurry",
                "product_items": [
                    {"product_retailer_id": "rose", "quantity": 2, "item_price": 3.5, "currency": "EUR"},
                    {"product_retailer_id": "vase", "quantity": "1"},
                ],
            },
            "[Order from the catalogue 77: 2 × rose at 3.5 EUR each; 1 × vase]\nPlease hurry",
        ),
        ("request_welcome", None, "[Opened the chat for the first time]"),
        ("video", {"id": "9", "caption": "look"}, "[Video, which can't be watched here]\nlook"),
    ],
)
def test_what_is_no_plain_text_is_told_in_words(kind: str, content: Any, text: str) -> None:
    message = read(kind, **{kind: content})
    assert message.text == text
    assert not message.unsupported
    assert not message.silent
    assert message.files == ()


@pytest.mark.parametrize(
    ("voice", "text"), [(True, "[Voice message]"), (False, "[Audio file]"), (None, "[Audio file]")]
)
def test_sound_comes_as_a_file(voice: bool | None, text: str) -> None:
    content = {"id": "9", "mime_type": "audio/ogg; codecs=opus", "sha256": "aa", "voice": voice}
    message = read("audio", audio=content)
    assert (message.text, message.medium, message.is_voice_note) == (text, "audio", voice is True)
    assert message.files == (InboundFile("9", "audio", "audio/ogg", "audio.ogg", "aa"),)


def test_sound_that_meta_has_not_kept_is_unsupported() -> None:
    message = read("audio", audio={"voice": True})
    assert message.unsupported
    assert message.text == "[Voice message]\n[It could not be received: Meta gave no file]"


def test_an_image_comes_as_a_file_with_its_caption() -> None:
    image = {"id": "900", "mime_type": "image/jpeg", "sha256": "abc=", "caption": "Is this it?"}
    message = read("image", image=image)
    assert message.text == "[Image]\nIs this it?"
    assert message.medium == "image"
    (file,) = message.files
    assert (file.media_id, file.kind, file.mime_type, file.filename) == ("900", "image", "image/jpeg", "image.jpg")
    assert file.sha256 == "abc="


def test_a_document_keeps_its_name_without_a_path() -> None:
    document = {"id": "900", "mime_type": "application/pdf; x=1", "filename": "..\\..\\etc/in\x07voice.pdf"}
    message = read("document", document=document)
    assert message.medium == "file"
    assert message.files[0].filename == "invoice.pdf"
    assert message.files[0].mime_type == "application/pdf"


def test_a_sticker_is_an_image() -> None:
    message = read("sticker", sticker={"id": "900", "mime_type": "image/webp"})
    assert (message.text, message.medium, message.files[0].filename) == ("[Sticker]", "image", "sticker.webp")


def test_media_that_meta_could_not_take_is_named() -> None:
    message = read("image", image={"mime_type": "image/jpeg"}, errors=[{"code": 131052}])
    assert message.files == ()
    assert message.unsupported
    assert "could not be received" in message.text
    assert not read("image", image={"caption": "Is this it?"}).unsupported


def test_a_reaction_is_about_its_message() -> None:
    message = read("reaction", reaction={"message_id": "wamid.OUT", "emoji": "👍"})
    assert (message.text, message.quoted_wamid, message.silent) == ("[Reacted with 👍]", "wamid.OUT", False)


@pytest.mark.parametrize("reaction", [{"message_id": "wamid.OUT", "emoji": ""}, {"message_id": "wamid.OUT"}])
def test_a_reaction_taken_back_needs_no_answer(reaction: dict[str, str]) -> None:
    assert read("reaction", reaction=reaction).silent


def test_a_quote_names_the_message_that_it_answers() -> None:
    message = read(text={"body": "this one"}, context={"from": "15550001111", "id": "wamid.OUT"})
    assert (message.text, message.quoted_wamid) == ("this one", "wamid.OUT")


def test_circumstances_stand_before_the_text() -> None:
    message = read(
        text={"body": "How much?"},
        context={"forwarded": True, "referred_product": {"catalog_id": "7", "product_retailer_id": "rose"}},
        referral={"source_type": "ad", "headline": "Roses", "body": "Fresh today", "ctwa_clid": "x"},
    )
    assert (
        message.text
        == "[Forwarded]\n[About the product rose]\n[Came from an advertisement: Roses – Fresh today]\nHow much?"
    )


def test_a_changed_number_is_silent_and_tells_the_new_ids() -> None:
    system = {"body": "Ann changed from 15551230000 to 15558880000", "type": "user_changed_number"}
    message = read("system", contact=None, system={**system, "wa_id": "15558880000", "user_id": "US.14"})
    assert message.silent
    assert (message.wa_id, message.bsuid) == ("15558880000", "US.14")
    assert message.text == "[Ann changed from 15551230000 to 15558880000]"


def test_an_edit_brings_the_new_text_and_a_deletion_is_silent() -> None:
    inner = {"type": "text", "text": {"body": "two roses"}}
    edit = read("edit", edit={"original_message_id": "wamid.0", "message": inner})
    assert (edit.text, edit.quoted_wamid) == ("[Changed an earlier message to:]\ntwo roses", "wamid.0")
    revoke = read("revoke", revoke={"original_message_id": "wamid.0"})
    assert revoke.silent
    assert revoke.quoted_wamid == "wamid.0"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("unsupported", {"type": "poll"}),
        ("unknown", None),
        ("hologram", {"id": "1"}),
        ("video", {"id": "9"}),
        ("text", {"body": ""}),
        ("interactive", {"type": "new_reply", "new_reply": {}}),
    ],
)
def test_what_cant_be_passed_on_is_unsupported(kind: str, content: Any) -> None:
    message = read(kind, **{kind: content})
    assert message.unsupported
    assert message.text.startswith("[")


def test_in_a_group_the_writer_is_named_and_stays_out_of_the_chats_ids() -> None:
    message = read(text={"body": "Hi all"}, group_id="group1")
    assert message.text == "[Ann in the group]\nHi all"
    assert (message.wa_id, message.bsuid, message.profile_name) == (None, None, None)


def test_nul_and_surrogates_become_replacement_characters() -> None:
    message = read(text={"body": "a\x00b\ud800c"}, contact={"profile": {"name": "A\x00"}})
    assert message.text == "a\ufffdb\ufffdc"
    assert message.profile_name == "A\ufffd"


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (r'{"city":"Ro\u0000me","a\u0000":["\u0000"]}', 'city: Ro\ufffdme\na\ufffd: ["\ufffd"]'),
        ('{"city":' + "[" * 600 + "]" * 600 + "}", ""),
        ("[" * 5000, ""),
    ],
    ids=["NUL", "deep", "deeper"],
)
def test_forms_that_no_device_writes_are_read_all_the_same(answers: str, told: str) -> None:
    message = read("interactive", interactive={"type": "nfm_reply", "nfm_reply": {"response_json": answers}})
    assert message.text == f"[Filled-in form]\n{told}".rstrip()


@pytest.mark.parametrize("timestamp", [None, "", "soon", "-5", "1e9", 10**30, [], "99999999999999"])
def test_an_unreadable_time_is_older_than_every_window(timestamp: Any) -> None:
    assert read(text={"body": "x"}, timestamp=timestamp).at == UNKNOWN_TIME


def test_a_number_as_a_time_is_read() -> None:
    assert read(text={"body": "x"}, timestamp=1790000000).at == datetime.fromtimestamp(1790000000, UTC)


def test_long_texts_are_cut() -> None:
    assert len(read(text={"body": "x" * 1_000_000}).text) == MAX_TEXT + 1


@pytest.mark.parametrize(
    ("value", "stopped"),
    [
        ({"category": "marketing_messages", "value": "stop"}, True),
        ({"category": "marketing_messages", "value": "resume"}, False),
        ({"category": "marketing_messages", "value": "pause"}, None),
        ({"category": "other", "value": "stop"}, None),
        (None, None),
    ],
)
def test_marketing_preferences(value: Any, stopped: bool | None) -> None:
    given = {**value, "timestamp": "1770000000"} if value else value
    moment = datetime.fromtimestamp(1_770_000_000, UTC)
    assert read_preference({"value": given}) == (None if stopped is None else (stopped, moment))


def test_new_scoped_id() -> None:
    assert read_identity({"value": {"user_id": {"previous": "US.13", "current": "US.14"}}}) == "US.14"
    assert read_identity({"value": {"user_id": "US.14"}}) is None


KINDS = [
    "text", "image", "sticker", "document", "video", "audio", "location", "contacts", "reaction", "order", "button",
    "interactive", "system", "request_welcome", "edit", "revoke", "unsupported", "unknown", "other",
]  # fmt: skip
KEYS = [
    *KINDS, "type", "id", "body", "caption", "context", "referral", "message", "name", "phones", "emails", "org",
    "product_items", "button_reply", "list_reply", "nfm_reply", "response_json", "title", "timestamp", "filename",
    "group_id", "profile", "from", "user_id",
]  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(KINDS)
    | st.just('{"a": [1, {}], "b": null}'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)


@given(JSON)
def test_any_json_is_read(payload: object) -> None:
    read_message(payload)
    read_preference(payload)
    read_identity(payload)


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6), JSON)
def test_any_message_becomes_text_that_can_be_stored(kind: str, message: dict[str, Any], contact: object) -> None:
    found = read_message({"message": {**message, "type": kind}, "contact": contact})
    assert "\x00" not in found.text
    found.text.encode()
    assert found.text or found.silent
