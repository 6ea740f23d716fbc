"""Monitor frames as OpenTelemetry: a span for each event, under one for its turn (reference: OpenTelemetry traces).

Names and attributes are the reference's, so that a collector set up for it needs no change.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

import orjson

from greenline.channels.socket.server_messages import Frame

SERVICE: Final = "elevenlabs-convai"
SCOPE: Final = {"name": "elevenlabs.convai", "version": "1.0.0"}
MAX_DATA: Final = 4096
"""Bytes of an event's data; the reference cuts there."""
_BEGINS_TURN: Final = "user_transcript"
_INTERNAL: Final = 1  # SPAN_KIND_INTERNAL
_OK: Final = 1  # STATUS_CODE_OK


class Traces:
    """Turns frames of one conversation into OTLP/JSON; counts its turns."""

    def __init__(self, conversation_id: str, agent_id: str) -> None:
        self._conversation_id = conversation_id
        self._agent_id = agent_id
        self._trace_id = trace_id(conversation_id)
        self._turn = 0
        self._events = 0
        self._told = -1

    def batch(self, frame: Frame, at: datetime) -> Frame:
        """The message for a frame: its span, and that of its turn when the turn is new."""
        kind = str(frame["type"])
        if kind == _BEGINS_TURN:
            self._turn += 1
        self._events += 1
        turn_span = _span_id(self._conversation_id, "turn", self._turn)
        spans = [
            self._span(
                _span_id(self._conversation_id, "event", self._events),
                f"elevenlabs.event.{kind}",
                at,
                parent=turn_span,
                attributes={"elevenlabs.event.data": _data(frame)},
            )
        ]
        if self._told != self._turn:
            self._told = self._turn
            index = {"elevenlabs.turn.index": str(self._turn)}
            spans.insert(0, self._span(turn_span, f"elevenlabs.turn.{self._turn}", at, attributes=index))
        resource = {
            "service.name": SERVICE,
            "elevenlabs.conversation_id": self._conversation_id,
            "elevenlabs.agent_id": self._agent_id,
        }
        scoped = {"scope": SCOPE, "spans": spans}
        return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scoped]}]}

    def _span(
        self, span_id: str, name: str, at: datetime, *, attributes: dict[str, str], parent: str | None = None
    ) -> dict[str, Any]:
        moment = str(int(at.timestamp() * 1e6) * 1000)
        return {
            "traceId": self._trace_id,
            "spanId": span_id,
            **({"parentSpanId": parent} if parent else {}),
            "name": name,
            "kind": _INTERNAL,
            "startTimeUnixNano": moment,
            "endTimeUnixNano": moment,
            "attributes": _attributes(attributes),
            "status": {"code": _OK},
        }


def trace_id(conversation_id: str) -> str:
    """The one trace of a conversation, the same on every surface."""
    return hashlib.sha256(conversation_id.encode()).hexdigest()[:32]


def _span_id(conversation_id: str, kind: str, number: int) -> str:
    return hashlib.sha256(f"{conversation_id}:{kind}:{number}".encode()).hexdigest()[:16]


def _attributes(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def _data(frame: Frame) -> str:
    return orjson.dumps(frame)[:MAX_DATA].decode(errors="ignore")
