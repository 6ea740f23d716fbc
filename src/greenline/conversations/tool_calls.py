"""The calls of an agent's tools, and what came of them, as clients read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from greenline.agents.variables import as_text
from greenline.conversations.events import Entry, Started, ToolCalled, ToolReturned
from greenline.conversations.transcript_models import (
    DynamicVariableUpdate,
    LanguageDetectionResult,
    SystemToolOutcome,
    SystemToolResult,
    ToolCallView,
    ToolResultView,
    VoicemailDetectionResult,
)

NEVER_RAN: Final = frozenset(
    {
        "unknown_tool",
        "invalid_arguments",
        "approval_unavailable",
        "approval_timeout",
        "not_approved",
        "no_mock_matched",
        "mock_timeout",
        "mcp_busy",
        "mcp_misconfigured",
        "mcp_refused",
        "client_untold",
        "never_began",
    }
)
"""Errors of calls that were refused, or cut short, before the tool did anything."""
CUT_SHORT: Final = "This was cut short before there was a result. It may have been done all the same."
"""The result of a call that was under way when its turn was cut."""
NEVER_BEGAN: Final = "This was not done: it was cut short before it began."
REDACTED: Final = "[REDACTED]"
"""In the place of a variable's value that no transcript may show."""


def cut_short(call: ToolCalled, *, began: bool, seconds: float = 0.0) -> ToolReturned:
    """What came of a call whose turn was cut; ``seconds``: how long it had run."""
    return ToolReturned(
        message_id=call.message_id,
        request_id=call.request_id,
        name=call.name,
        type=call.type,
        tool_id=call.tool_id,
        result=CUT_SHORT if began else NEVER_BEGAN,
        is_error=True,
        error_type="interrupted" if began else "never_began",
        seconds=seconds,
    )


def was_run(error_type: str) -> bool:
    """Whether the tool of a call that ended so did anything."""
    return error_type not in NEVER_RAN


class ToolCalls:
    """Those of a journal."""

    def __init__(self, journal: Sequence[Entry]) -> None:
        events = [entry.event for entry in journal]
        self._called = {_request(event): event for event in events if isinstance(event, ToolCalled)}
        self._returned = {_request(event): event for event in events if isinstance(event, ToolReturned)}
        self._updates = _updates(journal)

    def call(self, event: ToolCalled) -> ToolCallView:
        """As the model asked for it."""
        returned = self._returned.get(_request(event))
        return ToolCallView(
            type=event.type,
            request_id=event.request_id,
            tool_name=event.name,
            tool_id=_tool_id(event),
            params_as_json=json.dumps(event.params, ensure_ascii=False),
            tool_has_been_called=returned is not None and was_run(returned.error_type),
            tool_details=event.details or None,
        )

    def result(self, event: ToolReturned) -> ToolResultView:
        """What came of it, the variables that it changed included."""
        return ToolResultView(
            type=event.type,
            request_id=event.request_id,
            tool_name=event.name,
            tool_id=_tool_id(event),
            result_value=event.result,
            is_error=event.is_error,
            is_blocked=event.is_blocked,
            tool_has_been_called=was_run(event.error_type),
            tool_latency_secs=event.seconds,
            error_type=event.error_type,
            raw_error_message=(event.raw_error or event.result) if event.is_error else "",
            dynamic_variable_updates=self._updates.get(_request(event), []),
            result=self._system_result(event),
        )

    def _system_result(self, event: ToolReturned) -> SystemToolOutcome | None:
        if event.type != "system" or event.is_error:
            return None
        called = self._called.get(_request(event))
        reason = str(called.params.get("reason") or "") if called else ""
        match event.name:
            case "end_call":
                return SystemToolResult(result_type="end_call_success", reason=reason, message=event.said or None)
            case "skip_turn":
                return SystemToolResult(result_type="skip_turn_success", reason=reason)
            case "voicemail_detection":
                return VoicemailDetectionResult(reason=reason, voicemail_message=event.said or None)
            case "language_detection":
                spoken_already = str(called.params.get("language") or "") if called else ""
                return LanguageDetectionResult(reason=reason, language=event.language or spoken_already or None)
        return None


def _request(event: ToolCalled | ToolReturned) -> tuple[str, str]:
    return event.message_id, event.request_id


def _updates(journal: Sequence[Entry]) -> dict[tuple[str, str], list[DynamicVariableUpdate]]:
    """What the answers of tools changed in the dynamic variables, by their calls."""
    values: dict[str, Any] = {}
    found: dict[tuple[str, str], list[DynamicVariableUpdate]] = {}
    for entry in journal:
        event = entry.event
        if isinstance(event, Started):
            values |= event.variables
        elif isinstance(event, ToolReturned):
            for one in event.assigned:
                before, now = values.get(one.name), REDACTED if one.is_hidden else one.value
                update = DynamicVariableUpdate(
                    variable_name=one.name,
                    old_value=None if before is None else as_text(before),
                    new_value=as_text(now),
                    updated_at=entry.at.timestamp(),
                    tool_name=event.name,
                    tool_request_id=event.request_id,
                )
                values[one.name] = now
                found.setdefault(_request(event), []).append(update)
    return found


def _tool_id(event: ToolCalled | ToolReturned) -> str | None:
    return event.tool_id or (f"__system_{event.name}" if event.type == "system" else None)
