"""What of a prompt is for people."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.llm.passages import passages


def texts(prompt: str) -> list[str]:
    return [passage.text for passage in passages(prompt)]


def test_wrapped_lines_are_one_sentence() -> None:
    prompt = (
        "# Hours\nWe are closed on Sundays and public\nholidays. We open at nine.\n\n- a long item that\n  goes on\n"
    )
    assert texts(prompt) == [
        "We are closed on Sundays and public holidays.",
        "We open at nine.",
        "a long item that goes on",
    ]


def test_text_before_the_first_heading_is_for_the_agent() -> None:
    prompt = "The shop is fun. You are Ada.\n\n# Where we are\nAt Main Street 1."
    assert texts(prompt) == ["At Main Street 1."]


def test_sections_about_the_agent_are_for_the_agent() -> None:
    prompt = (
        "# Personality\nCheerful and quick.\n## Tone\nWarm.\n# Delivery\nIt takes two days.\n# Guardrails\nNo jokes."
    )
    assert texts(prompt) == ["It takes two days."]


def test_a_prompt_without_headings_gives_its_facts() -> None:
    prompt = "You are Max. Be brief. Breakfast is from 7 to 10. If a guest is angry, apologise. Never lie."
    assert texts(prompt) == ["Breakfast is from 7 to 10.", "If a guest is angry, apologise."]


def test_a_prompt_whose_sections_are_all_about_the_agent_gives_its_facts() -> None:
    prompt = "# Role\nYou are Max.\n# Environment\nThe hotel has forty rooms."
    assert texts(prompt) == ["The hotel has forty rooms."]


def test_instructions_inside_of_knowledge_are_left_out() -> None:
    prompt = "# Returns\nThirty days. Never promise more. Ask the customer for the receipt.\nRepot plants in spring."
    assert texts(prompt) == ["Thirty days.", "Repot plants in spring."]


def test_items_tables_and_bold_headings() -> None:
    prompt = (
        "**Menu:**\n\n| Dish | Price |\n|---|---:|\n| **Soup** | 5 € |\n| Fish |  |\n\n1. Tea: 2 €\n* `Water`: free\n"
    )
    found = passages(prompt)
    assert [passage.text for passage in found] == ["Soup: 5 €", "Fish", "Tea: 2 €", "Water: free"]
    assert {(passage.section, passage.is_item) for passage in found} == {("Menu", True)}


def test_a_sentence_ends_with_a_mark() -> None:
    assert [passage.sentence for passage in passages("# Facts\n- Tea: 2 €\n- Really?")] == ["Tea: 2 €.", "Really?"]


@given(st.text(alphabet=st.sampled_from("#*|-:. \nAbc1Ä"), max_size=200))
def test_any_text_is_read(prompt: str) -> None:
    for passage in passages(prompt):
        assert passage.text.strip()
        assert "\n" not in passage.text


@pytest.mark.parametrize("line", ["# a" + "#" * 20_000 + "x", "# a" + " #" * 10_000 + "x", "|" + " |" * 10_000 + "x"])
def test_a_long_line_holds_nobody_up(line: str) -> None:
    """A person may send it, in a text file."""
    begun = time.process_time()
    texts(f"# Hours\n{line}\nWe open at nine.")
    assert time.process_time() - begun < 1.0
