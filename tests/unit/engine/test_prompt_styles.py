from __future__ import annotations

import pytest

from greenline.engine.prompt import HINGLISH, mixture


@pytest.mark.parametrize(
    ("language", "hinglish", "told"),
    [("hi", True, HINGLISH), ("hi-IN", True, HINGLISH), ("hi", False, ""), ("en", True, ""), ("his", True, "")],
)
def test_only_an_agent_in_hindi_speaks_hinglish(language: str, hinglish: bool, told: str) -> None:
    assert mixture(language, hinglish=hinglish) == told
