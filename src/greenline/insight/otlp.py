"""The words of OTLP in JSON that every trace of a conversation uses (reference: OpenTelemetry traces).

Ids are derived, so that one conversation is one trace on every surface and whenever it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

SERVICE: Final = "elevenlabs-convai"
SCOPE: Final = {"name": "elevenlabs.convai", "version": "1.0.0"}
MAX_BYTES: Final = 4096
"""Arguments and results of tools are cut here (reference)."""
INTERNAL: Final = 1
"""Kind of a span (SPAN_KIND_INTERNAL)."""
UNSET, OK, ERROR = 0, 1, 2

Attributes: TypeAlias = Mapping[str, str | int | None]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Span:
    """``key`` is unique in the conversation; ``error`` is a code and a message; None as an attribute is left out."""

    key: str
    name: str
    times: tuple[datetime, datetime]
    attributes: Attributes
    status: int = OK
    error: tuple[str, str] | None = None
    events: Sequence[tuple[str, Attributes]] = ()
    """Names and attributes of what happened when it began."""
    parent: Span | None = field(default=None, repr=False)


def batch(conversation_id: str, agent_id: str, spans: Sequence[Span]) -> dict[str, Any]:
    """Spans of a conversation as one message: ``{"resourceSpans": [...]}``."""
    resource = {
        "service.name": SERVICE,
        "elevenlabs.conversation_id": conversation_id,
        "elevenlabs.agent_id": agent_id,
    }
    scoped = {"scope": dict(SCOPE), "spans": [_written(span, conversation_id) for span in spans]}
    return {"resourceSpans": [{"resource": {"attributes": attributes(resource)}, "scopeSpans": [scoped]}]}


def trace_id(conversation_id: str) -> str:
    """The trace of a conversation: 32 digits."""
    return hashlib.sha256(conversation_id.encode()).hexdigest()[:32]


def span_id(conversation_id: str, key: str) -> str:
    """The span of something in a conversation, which ``key`` names in it: 16 digits."""
    return hashlib.sha256(f"{conversation_id}:{key}".encode()).hexdigest()[:16]


def attributes(values: Attributes) -> list[dict[str, Any]]:
    """Attributes; what is None is left out. Whole numbers of 64 bits are texts in JSON."""
    return [
        {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
        for key, value in values.items()
        if value is not None
    ]


def nanoseconds(moment: datetime) -> str:
    """A moment in Unix nanoseconds."""
    return str((moment - _EPOCH) // timedelta(microseconds=1) * 1000)


def cut(text: str) -> str:
    """As much of a text as a span carries."""
    return text.encode()[:MAX_BYTES].decode(errors="ignore")


def _written(span: Span, conversation_id: str) -> dict[str, Any]:
    begin, end = span.times
    written: dict[str, Any] = {
        "traceId": trace_id(conversation_id),
        "spanId": span_id(conversation_id, span.key),
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": nanoseconds(begin),
        "endTimeUnixNano": nanoseconds(end),
        "attributes": attributes({**span.attributes, "error.type": span.error[0] if span.error else None}),
        "status": {"code": ERROR, "message": span.error[1]} if span.error else {"code": span.status},
    }
    if span.parent is not None:
        written["parentSpanId"] = span_id(conversation_id, span.parent.key)
    if span.events:
        written["events"] = [
            {"name": name, "timeUnixNano": nanoseconds(begin), "attributes": attributes(told)}
            for name, told in span.events
        ]
    return written
