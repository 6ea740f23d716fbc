r"""Exact dialogues for the offline model: rules in a prompt or in ``GREENLINE_LLM_OFFLINE_SCRIPT``, one a line.

::

    offline: when <regular expression> -> <actions>
    offline: after <tool> -> <actions>

The first rule fits whose expression is found in what the person said last, in upper or lower case, or whose tool has
just given its result. Actions are separated by `` ; ``:

``say <text>``
    ``\1`` is the first group of the expression, as in `re.Match.expand`; ``{result}`` what the tool said.
``call <tool> <JSON object>``
    Without an object: ``{}``.
``wait <seconds>``
    Before anything is said: a slow model.
``fail <kind>``
    A model that fails; the kinds are those of `greenline.llm.errors.ModelError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, get_args

from greenline.llm.calls import call_of
from greenline.llm.errors import Kind, ModelError
from greenline.llm.models import ToolCall

MAX_EXPRESSION: Final = 300
MAX_WORDS: Final = 1000
"""Characters of a message that an expression is tried on."""

_RULE: Final = re.compile(
    r"^[ \t]*offline:[ \t]*(?P<on>when|after)[ \t]+(?P<what>.+?)[ \t]*->[ \t]*(?P<then>.+?)[ \t]*$", re.M
)
_NEXT: Final = re.compile(r"\s+;\s+(?=(?:say|call|wait|fail)\b)")
_EXPLOSIVE: Final = re.compile(r"\([^()]*(?<!\\)[+*][^()]*\)[+*{]")
"""A repetition of a repetition can take for ever on a short text, and nothing stops Python's `re`."""


@dataclass(slots=True)
class Scene:
    """What a rule does."""

    said: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    wait: float = 0.0
    fails: ModelError | None = None


def without_rules(prompt: str) -> str:
    """A prompt as the person's questions should be answered from it."""
    return _RULE.sub("", prompt)


def on_words(script: str, words: str) -> Scene | None:
    """What the first rule that fits ``words`` does. Raises `ModelError` for a rule that can't be played."""
    for rule in _RULE.finditer(script):
        if rule["on"] != "when":
            continue
        found = _expression(rule["what"]).search(words[:MAX_WORDS])
        if found:
            return _scene(_expanded(found, rule["then"]))
    return None


def on_result(script: str, tool: str, result: str) -> Scene | None:
    """What the first rule after ``tool`` does. Raises `ModelError` for a rule that can't be played."""
    for rule in _RULE.finditer(script):
        if rule["on"] == "after" and rule["what"] == tool:
            scene = _scene(rule["then"])
            scene.said = [text.replace("{result}", result) for text in scene.said]
            return scene
    return None


def _expression(text: str) -> re.Pattern[str]:
    if len(text) > MAX_EXPRESSION or _EXPLOSIVE.search(text):
        raise _wrong(f"the expression {text[:80]!r} is too long or repeats a repetition")
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise _wrong(f"{text!r} is no regular expression: {error}") from error


def _expanded(found: re.Match[str], then: str) -> str:
    if "\\" not in then:
        return then
    try:
        return found.expand(then)
    except (re.error, IndexError) as error:
        raise _wrong(f"{then!r} names a group that is not there") from error


def _scene(then: str) -> Scene:
    scene = Scene()
    for action in _NEXT.split(then):
        verb, _, rest = action.strip().partition(" ")
        if verb == "say" and rest:
            scene.said.append(rest)
        elif verb == "call" and rest:
            name, _, arguments = rest.partition(" ")
            scene.calls.append(_call(f"offline_{len(scene.calls)}", name, arguments))
        elif verb == "wait" and re.fullmatch(r"\d+(?:\.\d+)?", rest):
            scene.wait += float(rest)
        elif verb == "fail" and rest in get_args(Kind):
            kind: Kind = rest  # type: ignore[assignment]  # just checked
            scene.fails = ModelError(kind, "the script says so")
        else:
            raise _wrong(f"it has no action {action.strip()!r}")
    return scene


def _call(call_id: str, name: str, arguments: str) -> ToolCall:
    try:
        return call_of(call_id, name, arguments)
    except ModelError as error:
        raise _wrong(str(error)) from error


def _wrong(text: str) -> ModelError:
    return ModelError("configuration", f"the offline script is wrong: {text}")
