"""Audio tags are for voices that understand them."""

from __future__ import annotations

import pytest

from greenline.speech.tags import takes_tags, untagged


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("[laughs] Hello [very softly] there.", "Hello there."),
        ("Hello.[sighs]", "Hello."),
        ("[laughs]", ""),
        ("[lacht leise] Schön!", "Schön!"),
        (
            "See [our shop](https://tea.example), room [12], [a, b].",
            "See [our shop](https://tea.example), room [12], [a, b].",
        ),
        (" No tag. ", " No tag. "),
    ],
)
def test_tags_are_taken_out_and_nothing_else(text: str, plain: str) -> None:
    assert untagged(text) == plain


def test_only_models_that_act_take_tags() -> None:
    assert takes_tags("elevenlabs:eleven_v3")
    assert takes_tags("elevenlabs:eleven_v3_conversational")
    assert not any(
        map(takes_tags, ("elevenlabs:eleven_flash_v2_5", "elevenlabs:eleven_v4", "embedded", "openai:tts-1"))
    )
