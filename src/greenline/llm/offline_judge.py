"""What the offline model can judge of a text for a guardrail: two lists of words, and it says so.

It answers in the form that a judge is asked for (`greenline.engine.guardrails.verdicts`). Attempts on the agent's
instructions and profanity are found by ``offline_judge.toml``; of everything else it says that it can't judge it,
which is a failed check and never a passed one.
"""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from importlib import resources
from typing import Any, Final

from greenline.llm.models import Judging

INJECTION: Final = "prompt_injection"
PROFANITY: Final = "profanity"
UNABLE: Final = "the offline model has no means to judge it: set the key of a provider, or GREENLINE_GUARDRAIL_MODEL"
MOST_CHARACTERS: Final = 20_000
"""Of a text that is searched: several times the longest message of WhatsApp."""


def judgement(judging: Judging) -> str:
    """The JSON object of a judge. Deterministic: a score is 0 or 1."""
    words = " ".join(judging.text[:MOST_CHARACTERS].replace("’", "'").split())
    answer: dict[str, Any] = {}
    if INJECTION in judging.kinds:
        found = _pattern("injection").search(words)
        answer |= {"triggered": found is not None, "rationale": _found(found)}
    if PROFANITY in judging.kinds:
        answer["scores"] = {PROFANITY: float(_pattern("profanity").search(words) is not None)}
    if set(judging.kinds) - {INJECTION, PROFANITY}:
        answer["unable"] = UNABLE
    return json.dumps(answer, ensure_ascii=False)


def _found(found: re.Match[str] | None) -> str:
    return f"The word list for attempts on the instructions has “{found[0]}”." if found else ""


@cache
def _pattern(name: str) -> re.Pattern[str]:
    text = resources.files(__package__ or "").joinpath("offline_judge.toml").read_text(encoding="utf-8")
    expressions = (expression for language in tomllib.loads(text)[name].values() for expression in language)
    return re.compile(rf"(?<!\w)(?:{'|'.join(expressions)})(?!\w)", re.IGNORECASE)
