"""What is made of a model's answer to the question for title and summary."""

from __future__ import annotations

import time

import pytest

from greenline.conversations.events import Summarised, UserMessage
from greenline.insight.analysis import summarise
from support.channel import ScriptedModel


async def of(answer: str) -> Summarised:
    model = ScriptedModel(say=lambda request: answer)
    found = await summarise(model, "m", [UserMessage(id="1", text="Do you have tea?")])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("answer", "title", "summary"),
    [
        ("Title: Tea\nSummary: They want tea.\nNothing is open.", "Tea", "They want tea. Nothing is open."),
        ("Here it is:\n\n**title:** Tea\n\n- SUMMARY:\nThey want tea.", "** Tea", "They want tea."),
        ("Title:\nTea\nand more\nSummary: They want\n\ntea.", "Tea", "They want tea."),
        ("Summary: none\nTitle: Tea\nSummary: They want tea.", "Tea", "They want tea."),
    ],
)
async def test_an_answer_in_the_form_asked_for_is_read(answer: str, title: str, summary: str) -> None:
    found = await of(answer)
    assert (found.title, found.summary, found.model) == (title, summary, "m")


@pytest.mark.parametrize(
    "answer", ["", "Tea", "Title: Tea", "Title:\nSummary: x", "Title: Tea\nSummary: ", "Subtitle: x"]
)
async def test_any_other_answer_gives_way_to_the_words_themselves(answer: str) -> None:
    assert (await of(answer)).model == "extract"


@pytest.mark.parametrize(
    "answer", ["Title: Tea" + "\n" * 20_000, "Title: Tea\n" * 5_000, "Title: Tea" + " \t" * 20_000]
)
async def test_thousands_of_line_breaks_hold_nobody_up(answer: str) -> None:
    """A person can have the model write them, and everybody would wait."""
    begun = time.process_time()
    await of(answer)
    assert time.process_time() - begun < 1.0
