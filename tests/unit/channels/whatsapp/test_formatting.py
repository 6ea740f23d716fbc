"""Markdown on its way to a phone."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.formatting import to_whatsapp


@pytest.mark.parametrize(
    ("markdown", "written"),
    [
        ("We are **open** on *Monday*.", "We are *open* on *Monday*."),
        ("**Price:** 29 €, **in stock**", "*Price:* 29 €, *in stock*"),
        ("***Now*** or ~~never~~", "*_Now_* or ~never~"),
        ("# Opening hours\nfrom nine", "*Opening hours*\nfrom nine"),
        ("### **Care** ###\n- water it", "*Care*\n- water it"),
        (
            "See [our page](https://shop.example/a?b=c) or [https://x.example](https://x.example).",
            "See our page (https://shop.example/a?b=c) or https://x.example.",
        ),
        ("![A plant](https://shop.example/p.png)", "A plant (https://shop.example/p.png)"),
        ("[Write us](mailto:hello@shop.example)", "Write us (hello@shop.example)"),
        ("| Plant | Price |\n|:---|---:|\n| Aloe | 14 € |", "Plant | Price\nAloe | 14 €"),
        ("one\n\n---\n\ntwo", "one\n\n\ntwo"),
        ("Use `**kwargs` and\n```python\na ** b  # c\n```", "Use `**kwargs` and\n```\na ** b  # c\n```"),
        ("- one\n- two\n\n1. three", "- one\n- two\n\n1. three"),
        ("> quoted", "> quoted"),
        ("| Code | Price |\n|---|---|\n| `A|17` | 14 € |", "Code | Price\n`A|17` | 14 €"),
        ("|a|b|c|", "a|b|c"),
        ("## *Important* notes", "*_Important_ notes*"),
        ("# *All of it*", "*All of it*"),
        ("## Use `foo` now", "*Use `foo` now*"),
        ("**Use `foo` now**", "*Use `foo` now*"),
        ("## What is C#? ##", "*What is C#?*"),
        ("## About C#", "*About C#*"),
        ("价格**29元**起，ב**שעה** שש", "价格*29元*起，ב*שעה* שש"),
    ],
)
def test_markdown_is_written_as_whatsapp_does(markdown: str, written: str) -> None:
    assert to_whatsapp(markdown) == written


@pytest.mark.parametrize(
    "text",
    [
        "2**3 is 8, and 2 ** 3 too",
        "** not bold **",
        "#1 in plants, C# and #hashtag",
        "a | b",
        "[Image] and [Button: Yes (id: y)]",
        "*** stars *** and --- dashes",
        "snake_case __init__ ~5 minutes ~ 6",
        "*already bold*, _slanted_, ~gone~",
        "***",
        "`old` --- `new`",
        "`C`# is a language",
        "a \0 between `b` and \0",
        "call +49 40 (5550) 1230",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert to_whatsapp(text) == text


SIGNS = ["|", "a", "8", " ", "\n", "*", "**", "~~", "`", "# ", "-", "[", "](https://a)", "\0"]


@given(st.lists(st.sampled_from(SIGNS)).map("".join))
def test_no_markdown_grows(text: str) -> None:
    assert len(to_whatsapp(text)) <= len(text)


@given(st.text(alphabet="ab *_~#|[](`)-\n:/hts.\0", max_size=200))
def test_no_text_grows(text: str) -> None:
    assert len(to_whatsapp(text)) <= len(text)


@pytest.mark.parametrize("signs", ["**a ", "***a ", "~~a ", "[x](http://a ", "| |"])
def test_thousands_of_signs_hold_nobody_up(signs: str) -> None:
    begun = time.process_time()
    to_whatsapp(signs * (800_000 // len(signs)))
    assert time.process_time() - begun < 1.0
