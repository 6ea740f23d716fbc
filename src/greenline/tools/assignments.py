"""The dynamic variables that the answers of tools set (reference: ``assignments``)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from greenline.agents.config.tool_common import DynamicVariableAssignment
from greenline.agents.variables import SECRET, SYSTEM, as_text
from greenline.llm.calls import integer_of
from greenline.text import clean_data, is_deeper
from greenline.tools.models import Assigned, ToolResult

HIDDEN: Final = "[hidden]"
"""What a model and a transcript see in the place of a value with ``sanitize``."""
_DIGITS: Final = 9
"""Of the place in a list: no list is longer, and thousands of them are no number to Python."""


def assign(result: ToolResult, assignments: Iterable[DynamicVariableAssignment], answer: Any = None) -> ToolResult:
    """``result`` with the variables that it sets, and without the values that nobody is to see.

    ``answer`` is what the paths lead into; without it the text of the result, if that is JSON. An error sets nothing,
    nor does a path that leads nowhere, and into what is nested deeper than `MOST_LEVELS` none leads. Names of the
    server, and those of secrets, are set by no tool.
    """
    wanted = tuple(assignments)
    if result.is_error or not wanted:
        return result
    data = _storable(answer if answer is not None else _parsed(result.text))
    found, hides = [], False
    # First all are read: what one of them hides, another may want.
    for assignment in wanted:
        value = value_at(data, assignment.value_path)
        if value is None or assignment.dynamic_variable.startswith((SYSTEM, SECRET)):
            continue
        kept = value if assignment.preserve_native_type else as_text(value)
        found.append((assignment, Assigned(assignment.dynamic_variable, copy.deepcopy(kept), assignment.sanitize)))
    for assignment, _ in found:
        if assignment.sanitize:
            data, hides = _hidden(data, assignment.value_path.split(".")), True
    text = as_text(data) if hides else result.text
    return replace(result, text=text, assigned=tuple(assigned for _, assigned in found))


def _parsed(text: str) -> Any:
    """A text as JSON, and None where it is none; what no journal holds (integers over 64 bits, ``NaN``) is text."""
    try:
        return json.loads(text, parse_int=integer_of, parse_constant=str)
    except (ValueError, RecursionError):
        return None


def _storable(data: Any) -> Any:
    """A copy without characters that no journal holds; None of what is too deep for one."""
    return None if is_deeper(data) else clean_data(data)


def value_at(data: Any, path: str) -> Any:
    """What a dotted path with numbers for list items leads to; None where it leads nowhere."""
    for step in path.split("."):
        data = _child(data, step)
    return data


def _child(data: Any, step: str) -> Any:
    if isinstance(data, dict):
        return data.get(step)
    if isinstance(data, list) and step.isdecimal() and len(step) <= _DIGITS and int(step) < len(data):
        return data[int(step)]
    return None


def _hidden(data: Any, path: list[str]) -> Any:
    """``data`` with `HIDDEN` at ``path``, where an assignment before it has not hidden what is around it already."""
    step, *rest = path
    child = _child(data, step)
    if child is not None and child != HIDDEN:
        data[int(step) if isinstance(data, list) else step] = _hidden(child, rest) if rest else HIDDEN
    return data
