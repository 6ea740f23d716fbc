"""How a voice note stands among the messages of an answer."""

from greenline.channels.whatsapp.compose import NoteToSend, compose
from greenline.engine.turn import Spoken
from greenline.tools.models import Button, Buttons, Text

ANSWER = [Spoken("msg_1", Text("Yes.")), Spoken("msg_2", Buttons("Which?", (Button("a", "A"),)))]


def test_a_note_replaces_the_texts_that_it_says() -> None:
    note, buttons = compose(ANSWER, NoteToSend("900", says_all=True))
    assert note.body == {"type": "audio", "audio": {"id": "900", "voice": True}}
    assert note.event_ids == ("msg_1",)
    assert buttons.body["interactive"]["body"] == {"text": "Which?"}


def test_what_must_be_seen_follows_the_note_in_writing() -> None:
    note, buttons = compose(ANSWER, NoteToSend("900", says_all=False))
    assert note.kind == "audio"
    assert buttons.body["interactive"]["body"] == {"text": "Yes.\n\nWhich?"}
    assert buttons.event_ids == ("msg_1", "msg_2")
