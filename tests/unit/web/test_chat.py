"""Messages of the emulator as the bubbles of a phone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.web.chat import Bubble, Choice, File, Piece, bubbles, pieces
from greenline.web.control import Permission, permission_reply


def message(**fields: Any) -> dict[str, Any]:
    return {"id": "wamid.1", "direction": "out", "timestamp": 100.0, "status": "read", **fields}


def bubble(**fields: Any) -> Bubble:
    return bubbles([message(**fields)], taken=())[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", [Piece("plain")]),
        ("a *b* c", [Piece("a "), Piece("b", "bold"), Piece(" c")]),
        ("_i_ ~s~ `c`", [Piece("i", "italic"), Piece(" "), Piece("s", "struck"), Piece(" "), Piece("c", "code")]),
        ("see https://a.example/b?c=1.", [Piece("see "), Piece("https://a.example/b?c=1", "link"), Piece(".")]),
        ("(http://a.example)", [Piece("("), Piece("http://a.example", "link"), Piece(")")]),
        ("javascript:alert(1)", [Piece("javascript:alert(1)")]),
        ("snake_case_name 2*3*4", [Piece("snake_case_name 2*3*4")]),
        ("* not bold *", [Piece("* not bold *")]),
        ("", []),
    ],
)
def test_marks_and_links_are_told_apart(text: str, expected: list[Piece]) -> None:
    assert pieces(text) == expected


@given(st.text(alphabet="ab *_~`\n:/.<h tps", max_size=80))
def test_no_letter_is_lost_but_the_marks(text: str) -> None:
    shown = "".join(piece.text for piece in pieces(text))
    assert [sign for sign in shown if sign not in "*_~`"] == [sign for sign in text if sign not in "*_~`"]
    assert all(piece.text.startswith(("http://", "https://")) for piece in pieces(text) if piece.style == "link")


@pytest.mark.parametrize(
    ("fields", "taken", "tick"),
    [
        ({"direction": "in"}, (), "sent"),
        ({"direction": "in"}, ("wamid.1",), "delivered"),
        ({"direction": "in", "read_by_business": True}, ("wamid.1",), "read"),
        ({"direction": "out"}, ("wamid.1",), "none"),
    ],
)
def test_ticks_tell_how_far_the_persons_own_message_came(fields: Any, taken: tuple[str, ...], tick: str) -> None:
    shown = bubbles([message(type="text", text={"body": "hi"}, **fields)], taken)
    assert shown[0].tick == tick


def test_buttons_are_choices_in_their_order() -> None:
    buttons = [{"type": "reply", "reply": {"id": i, "title": i.upper()}} for i in ("a", "b")]
    shown = bubble(
        type="interactive",
        interactive={"body": {"text": "Which?"}, "footer": {"text": "Tap"}, "action": {"buttons": buttons}},
    )
    assert (shown.text, shown.footer, shown.list_label) == ("Which?", "Tap", "")
    assert shown.choices == (Choice(0, "A"), Choice(1, "B"))


def test_rows_of_a_list_are_counted_over_its_sections() -> None:
    sections = [
        {"title": "One", "rows": [{"id": "a", "title": "A", "description": "first"}]},
        {"title": "Two", "rows": [{"id": "b", "title": "B"}]},
    ]
    shown = bubble(
        type="interactive", interactive={"body": {"text": "x"}, "action": {"button": "Open", "sections": sections}}
    )
    assert shown.list_label == "Open"
    assert shown.choices == (Choice(0, "A", "first", "One"), Choice(1, "B", "", "Two"))


def test_a_template_shows_its_text_and_what_its_buttons_do() -> None:
    buttons = [
        {"type": "QUICK_REPLY", "text": "Yes", "payload": "y"},
        {"type": "URL", "text": "Track", "url": "HTTPS://shop.example/7"},
        {"type": "URL", "text": "Run", "url": "javascript:alert(1)"},
        {"type": "PHONE_NUMBER", "text": "Ring", "phone_number": "+1 (555) 000-1111"},
        {"type": "COPY_CODE", "text": "Copy code", "coupon_code": "FERN20"},
    ]
    texts = {"header": "Your order", "body": "Hello [Yes]\nBye", "footer": "Fern"}
    rendered = "Your order\nHello [Yes]\nBye\nFern\n[Yes]\n[Track]\n[Run]\n[Ring]\n[Copy code]"
    shown = bubble(type="template", template={"name": "x"}, rendered=rendered, texts=texts, buttons=buttons)
    assert (shown.header, shown.text, shown.footer) == ("Your order", "Hello [Yes]\nBye", "Fern")
    assert shown.choices == (
        Choice(0, "Yes"),
        Choice(1, "Track", does="link", address="HTTPS://shop.example/7"),
        Choice(2, "Run", does="other"),
        Choice(3, "Ring", "+1 (555) 000-1111", does="phone", address="tel:+15550001111"),
        Choice(4, "Copy code", "FERN20", does="other"),
    )


@pytest.mark.parametrize(
    ("parameter", "text", "file"),
    [
        (
            {"type": "image", "image": {"link": "https://e.com/a.png"}},
            "Here it is.",
            File("image", "Image", "", "https://e.com/a.png"),
        ),
        (
            {"type": "document", "document": {"link": "https://e.com/a", "filename": "bill.pdf"}},
            "Here it is.",
            File("document", "bill.pdf", "", "https://e.com/a"),
        ),
        (
            {"type": "location", "location": {"name": "HQ", "latitude": "1", "longitude": "2"}},
            "📍 HQ 1, 2\nHere it is.",
            None,
        ),
        ({"type": "text", "text": "it"}, "Here it is.", None),
    ],
)
def test_a_template_shows_the_file_or_the_place_of_its_header(
    parameter: dict[str, Any], text: str, file: File | None
) -> None:
    components = [{"type": "body", "parameters": []}, {"type": "header", "parameters": [parameter]}]
    shown = bubble(type="template", template={"name": "x", "components": components}, texts={"body": "Here it is."})
    assert (shown.text, shown.file) == (text, file)


def test_a_reply_quotes_what_it_answers() -> None:
    first = message(id="wamid.0", type="text", text={"body": "Gift wrap?"})
    reply = {"type": "button_reply", "button_reply": {"id": "y", "title": "Yes"}}
    second = message(direction="in", type="interactive", interactive=reply, context={"id": "wamid.0"})
    assert bubbles([first, second], ())[1].quoted == "Gift wrap?"
    assert bubbles([first, second], ())[1].text == "Yes"


def test_a_reaction_is_shown_at_its_message_and_not_as_one() -> None:
    first = message(type="text", text={"body": "hi"}, reactions=["👍", ""])
    second = message(id="wamid.2", direction="in", type="reaction", reaction={"emoji": "👍"})
    shown = bubbles([first, second], ())
    assert [item.reactions for item in shown] == [("👍",)]


ASKS = {"type": "call_permission_request", "action": {"name": "call_permission_request"}, "body": {"text": "May we?"}}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("permanent", "You may call me."),
        ("temporary", "You may call me for seven days."),
        ("declined", "Please don't call me."),
    ],
)
def test_the_question_to_call_is_asked_until_it_is_answered(answer: Permission, told: str) -> None:
    question = message(id="wamid.0", type="interactive", interactive=ASKS, asks_to_call=True)
    assert bubbles([question], ())[0].asks_to_call
    reply = permission_reply(answer, 1_000.0)
    answered = message(direction="in", type="interactive", interactive=reply, context={"id": "wamid.0"})
    shown = bubbles([question, answered], ())
    assert [item.asks_to_call for item in shown] == [False, False]
    assert (shown[1].text, shown[1].quoted) == (told, "May we?")


def test_a_temporary_permission_says_its_end() -> None:
    reply = permission_reply("temporary", 1_000.0)["call_permission_reply"]
    assert reply == {
        "response": "accept",
        "response_source": "user_action",
        "is_permanent": False,
        "expiration_timestamp": str(1_000 + 168 * 3600),
    }


def test_a_template_can_ask_to_call() -> None:
    template = {"name": "may_we_call"}
    assert bubble(type="template", template=template, texts={"body": "May we call?"}, asks_to_call=True).asks_to_call
    assert not bubble(type="template", template=template, texts={"body": "Hello"}, asks_to_call=False).asks_to_call


def test_a_file_links_only_to_the_web() -> None:
    document = {"filename": "a.pdf", "mime_type": "application/pdf", "link": "javascript:alert(1)", "caption": "Here"}
    shown = bubble(type="document", document=document)
    assert (shown.file, shown.text) == (File("document", "a.pdf", "application/pdf"), "Here")


def test_a_voice_note_is_told_from_a_sound_file() -> None:
    note: dict[str, Any] = {"id": "7", "mime_type": "audio/ogg; codecs=opus", "voice": True}
    shown = bubble(type="audio", audio=note, status="played")
    assert (shown.file, shown.played) == (File("audio", "Audio", note["mime_type"], media_id="7", voice=True), True)
    assert bubble(type="audio", audio={"id": "7", "mime_type": "audio/mpeg"}).file == File(
        "audio", "Audio", "audio/mpeg", media_id="7"
    )


@pytest.mark.parametrize("content", [None, "x", {}, {"unknown": 1}])
def test_a_type_that_is_not_known_is_named(content: Any) -> None:
    assert bubble(type="hologram", hologram=content).text == "[hologram]"
