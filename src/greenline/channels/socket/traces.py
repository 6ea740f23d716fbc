"""Monitor frames as OpenTelemetry: a span for each event, under its turn (reference: OpenTelemetry traces)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

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
        index = {"elevenlabs.turn.index": self._turn}
        turn = otlp.Span(f"monitor:turn:{self._turn}", f"elevenlabs.turn.{self._turn}", (at, at), index)
        data = {"elevenlabs.event.data": otlp.cut(orjson.dumps(frame).decode())}
        event = otlp.Span(f"monitor:event:{self._events}", f"elevenlabs.event.{kind}", (at, at), data, parent=turn)
        spans = [event] if self._told == self._turn else [turn, event]
        self._told = self._turn
        return otlp.batch(self._conversation_id, self._agent_id, spans)
