"""What a person said, wrote and pressed while the agent could not be stopped is one turn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from greenline.channels.live.words import Meanwhile, Words


def test_nothing_waits_at_first() -> None:
    meanwhile = Meanwhile()
    assert not meanwhile
    assert meanwhile.take() is None


def test_what_waits_is_taken_once() -> None:
    meanwhile = Meanwhile()
    meanwhile.say("Stop")
    assert meanwhile
    assert meanwhile.take() == Words("Stop", "audio", unwritten="Stop")
    assert not meanwhile
    assert meanwhile.take() is None


def test_utterances_are_one_line_at_the_end() -> None:
    meanwhile = Meanwhile()
    meanwhile.say("Stop")
    meanwhile.add(Words("Look at this.", "file", ("file_1",)))
    meanwhile.say("please")
    meanwhile.add(Words("", "file", ("file_2",)))
    taken = meanwhile.take()
    assert taken is not None
    assert (taken.text, taken.medium, taken.file_ids) == ("Look at this.\nStop please", "audio", ("file_1", "file_2"))


def test_what_was_said_began_with_its_first_word() -> None:
    meanwhile, began = Meanwhile(), datetime(2026, 1, 1, tzinfo=UTC)
    for seconds in range(3):
        meanwhile.say("stop", began + timedelta(seconds=seconds))
    taken = meanwhile.take()
    assert taken is not None
    assert (taken.text, taken.began) == ("stop stop stop", began)


def test_the_model_reads_keys_that_no_transcript_shows() -> None:
    meanwhile = Meanwhile()
    meanwhile.add(Words("[redacted]", "dtmf", unwritten="[Keys pressed: 12]"))
    meanwhile.add(Words("My code.", "text"))
    taken = meanwhile.take()
    assert taken is not None
    assert taken.text == "[redacted]\nMy code."
    assert taken.read == "[Keys pressed: 12]\nMy code."


def test_the_last_row_of_buttons_counts() -> None:
    meanwhile = Meanwhile()
    for row in ("row_1", "row_2", None):
        meanwhile.add(Words("Yes", "text", rich_content_id=row))
    taken = meanwhile.take()
    assert taken is not None
    assert taken.rich_content_id == "row_2"
