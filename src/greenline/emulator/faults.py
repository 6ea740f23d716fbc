"""Faults that the control API sets by name, with a seed, so that a run can be repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

NAMES: Final = {
    "graph_error": "refuses a call before it is processed: `code`, `http_status`, `subcode`",
    "graph_timeout": "answers after `seconds`; `accepted` tells whether the call is carried out",
    "reset_before_accept": "closes the connection without processing the call",
    "reset_after_accept": "processes the call, then closes the connection without an answer",
    "slow": "answers each call `seconds` later",
    "webhook_duplicate": "sends each delivery `copies` times more, at once or `delay` seconds later",
    "webhook_shuffle": "holds deliveries for up to `seconds`, so that they arrive in any order",
    "webhook_delay": "holds each delivery for `seconds`",
    "webhook_drop": "takes the callback's answer for lost and delivers again",
    "webhook_batch": "collects up to `size` updates for `seconds` into one body",
    "late_failed": "reports `failed` with `code` after `sent`",
    "status_order": "sends `read` before `delivered`, and those before `sent`",
    "omit_phone": "leaves phone numbers out of webhooks",
    "unknown_type": "turns each inbound message into one of an unknown type",
    "unknown_field": "adds unknown fields to every webhook",
    "media_expired": "media addresses are dead at once",
    "call_connect_lost": "the `connect` of a call is never told",
    "call_end_first": "`connect` is told after `terminate`",
    "call_stale_connect": "`connect` is told once more, `seconds` after `terminate`",
    "call_duplicate": "tells of a call `copies` times more, `seconds` later",
    "call_shuffle": "holds what is told of calls for up to `seconds` each",
    "call_batch": "collects up to `size` tellings of calls for `seconds` into one webhook",
    "call_swapped": "writes `from` and `to` of a call the wrong way round",
    "call_undirected": "leaves the `direction` of a call out",
    "call_unsure": "carries an `action` of a call out, then answers with `code` and `http_status` (131000 and 500)",
    "token_expired": "every token counts as expired",
}


@dataclass
class Fault:
    """A fault that acts ``times`` times (None: for ever) where ``match`` fits."""

    id: int
    name: str
    times: int | None = None
    probability: float = 1.0
    match: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    acted: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable, not secret

    def number(self, name: str, default: float) -> float:
        """A parameter."""
        return float(self.parameters.get(name, default))

    def shuffle(self, seconds: float) -> float:
        """A delay out of the seeded sequence."""
        return self._random.uniform(0, seconds)

    def acts(self, about: dict[str, Any]) -> bool:
        """Whether the fault acts now; counts it if so."""
        if self.times is not None and self.acted >= self.times:
            return False
        if any(about.get(key) != value for key, value in self.match.items()):
            return False
        if self._random.random() >= self.probability:
            return False
        self.acted += 1
        return True

    def shown(self) -> dict[str, Any]:
        """As the control API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "times": self.times,
            "probability": self.probability,
            "match": self.match,
            "seed": self.seed,
            "acted": self.acted,
            **self.parameters,
        }


class Faults:
    """The faults that are set."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._next = 1

    def add(self, name: str, **options: Any) -> Fault:
        """Set a fault. Raises ``KeyError`` for an unknown name."""
        if name not in NAMES:
            raise KeyError(name)
        known = {key: options.pop(key) for key in ("times", "probability", "match", "seed") if key in options}
        fault = Fault(self._next, name, parameters=options, **known)
        self._faults[self._next] = fault
        self._next += 1
        return fault

    def remove(self, fault_id: int | None = None) -> None:
        """Take one fault away, or all."""
        if fault_id is None:
            self._faults.clear()
        else:
            self._faults.pop(fault_id, None)

    def all(self) -> list[Fault]:
        """Every fault that is set."""
        return list(self._faults.values())

    def acting(self, name: str, **about: Any) -> Fault | None:
        """The first fault of that name that acts on what is described."""
        return next((fault for fault in self._faults.values() if fault.name == name and fault.acts(about)), None)
