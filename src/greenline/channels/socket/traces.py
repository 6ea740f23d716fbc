"""Monitor frames as OpenTelemetry: a span for each event, under its turn (reference: OpenTelemetry traces)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import orjson

from greenline.channels.socket.server_messages import Frame
from greenline.insight import otlp

_BEGINS_TURN: Final = "user_transcript"


class Traces:
    """Turns frames of one conversation into OTLP/JSON; counts its turns."""

    def __init__(self, conversation_id: str, agent_id: str) -> None:
        self._conversation_id = conversation_id
        self._agent_id = agent_id
        self._turn = 0
        self._events = 0
        self._told = -1

    def batch(self, frame: Frame, at: datetime) -> Frame:
        """The message for a frame: its span, and that of its turn when the turn is new."""
        kind = str(frame["type"])
        if kind == _BEGINS_TURN:
            self._turn += 1
        self._events += 1
        turn = otlp.span_id(self._conversation_id, f"monitor:turn:{self._turn}")
        event = otlp.span_id(self._conversation_id, f"monitor:event:{self._events}")
        data = {"elevenlabs.event.data": otlp.cut(orjson.dumps(frame).decode())}
        spans = [self._span(event, f"elevenlabs.event.{kind}", at, data) | {"parentSpanId": turn}]
        if self._told != self._turn:
            self._told = self._turn
            index = {"elevenlabs.turn.index": self._turn}
            spans.insert(0, self._span(turn, f"elevenlabs.turn.{self._turn}", at, index))
        return otlp.batch(self._conversation_id, self._agent_id, spans)

    def _span(self, span_id: str, name: str, at: datetime, attributes: otlp.Attributes) -> dict[str, Any]:
        return {
            "traceId": otlp.trace_id(self._conversation_id),
            "spanId": span_id,
            "name": name,
            "kind": otlp.INTERNAL,
            "startTimeUnixNano": otlp.nanoseconds(at),
            "endTimeUnixNano": otlp.nanoseconds(at),
            "attributes": otlp.attributes(attributes),
            "status": {"code": otlp.OK},
        }
