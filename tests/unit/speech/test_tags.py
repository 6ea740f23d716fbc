"""Tags are for voices that understand them."""

from __future__ import annotations

import pytest

from greenline.speech.tags import readable, takes_tags, untagged


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


BREAK = 'One moment <break time="1.0s" /> please.<break time="250ms"/> Now.'
PHONEME = 'It is <phoneme alphabet="ipa" ph="ˈmædɪsən">Madison</phoneme>.'


@pytest.mark.parametrize(
    ("synthesiser", "text", "read"),
    [
        ("elevenlabs:eleven_flash_v2", BREAK, BREAK),
        ("elevenlabs:eleven_v3", BREAK, "One moment [pause] please. [short pause] Now."),
        ("embedded", BREAK, "One moment, please. Now."),
        ("elevenlabs:eleven_flash_v2", PHONEME, PHONEME),
        ("elevenlabs:eleven_flash_v2_5", PHONEME, "It is Madison."),
        ("deepgram:aura-2", f"[softly] {PHONEME} <break time='3s'/>", "It is Madison."),
        ("elevenlabs:eleven_v3", "Well <BREAK time=2s> yes<break/>", "Well [long pause] yes [pause]"),
        ("embedded", "<break time='1.2.3s'/> Hello", "Hello"),
        ("embedded", "1 < 2, and <b>3 > 2", "1 < 2, and <b>3 > 2"),
    ],
)
def test_each_synthesiser_reads_what_it_acts_on(synthesiser: str, text: str, read: str) -> None:
    assert readable(synthesiser, text) == read
