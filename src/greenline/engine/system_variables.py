"""The dynamic variables that the server sets, the same on every channel (reference: System variables).

A prompt and a first message keep the values of the start, or of the moment at which the person answers what the
business began; a tool's parameters are read when it is called.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from greenline.agents.config import ConversationConfig
from greenline.agents.models import AgentVersion
from greenline.conversations.events import AgentMessage, Event, ToolCalled, ToolReturned, UserMessage
from greenline.conversations.heard import Heard

HISTORY: Final = "x-elevenlabs-history"
"""Marks a conversation's history, so that one inside of another is known (reference: System variables)."""


def at_start(
    version: AgentVersion, config: ConversationConfig, *, conversation_id: str, text_only: bool, now: datetime
) -> dict[str, Any]:
    """Every system variable of a conversation that begins. Who calls whom is empty until a channel knows it."""
    zone = config.agent.prompt.timezone or "UTC"
    return {
        "system__agent_id": version.agent_id,
        "system__current_agent_id": version.agent_id,
        "system__caller_id": "",
        "system__called_number": "",
        "system__call_sid": "",
        "system__call_id": "",
        "system__conversation_id": conversation_id,
        "system__is_text_only": text_only,
        "system__timezone": zone,
        **_changing((), zone, began=now, now=now),
    }


def at_call(variables: Mapping[str, Any], journal: Sequence[Event], now: datetime) -> dict[str, Any]:
    """``variables``, as a conversation began with them, with what time and the conversation have changed since."""
    began = datetime.fromisoformat(variables["system__time_utc"])
    return {**variables, **_changing(journal, variables.get("system__timezone", "UTC"), began=began, now=now)}


def at_pick_up(variables: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Those of ``variables`` that begin anew when the person answers what the business began."""
    return _times(variables.get("system__timezone", "UTC"), began=now, now=now)


def _changing(journal: Sequence[Event], zone: str, *, began: datetime, now: datetime) -> dict[str, Any]:
    turns = sum(isinstance(event, AgentMessage) and bool(event.text) for event in journal)
    history = {HISTORY: True, "entries": list(_entries(journal))}
    return {
        **_times(zone, began=began, now=now),
        "system__agent_turns": turns,
        "system__current_agent_turns": turns,
        "system__current_subagent_turns": turns,
        "system__conversation_history": json.dumps(history, ensure_ascii=False),
    }


def _times(zone: str, *, began: datetime, now: datetime) -> dict[str, Any]:
    local = now.astimezone(ZoneInfo(zone))
    return {
        "system__time_utc": now.astimezone(UTC).isoformat(),
        "system__time": f"{local:%A, %H:%M} {local.day} {local:%B %Y}",
        "system__call_duration_secs": int((now - began).total_seconds()),
    }


def _entries(journal: Sequence[Event]) -> Iterator[dict[str, Any]]:
    heard = Heard(journal)
    for event in journal:
        match event:
            case UserMessage(text=text):
                yield {"role": "user", "message": text}
            case AgentMessage() if text := heard.text(event):
                yield {"role": "agent", "message": text}
            case ToolCalled():
                call = {"request_id": event.request_id, "tool_name": event.name}
                yield {"role": "agent", "tool_requests": [{**call, "params": _cut(event.params)}]}
            case ToolReturned():
                call = {"request_id": event.request_id, "tool_name": event.name}
                result = {"result": _cut(event.result), "is_error": event.is_error}
                yield {"role": "agent", "tool_results": [{**call, **result}]}


def _cut(value: Any) -> Any:
    """``value`` without copies of a history, which would double with each call."""
    if isinstance(value, dict):
        return {name: _cut(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_cut(child) for child in value]
    return "" if isinstance(value, str) and HISTORY in value else value
