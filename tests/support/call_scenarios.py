"""What may go wrong in calls: how far one gets, what ends it, what Meta refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from greenline.channels.whatsapp.calls.events import Action
from support.graph_stand_in import meta_error
from support.scripted import Answer

ANSWERS: Final[dict[str, Answer]] = {
    "wrong": meta_error(100),
    "later": meta_error(130429),
    "down": meta_error(131000, 500),
    "cut": Answer(cut=True),
    "silent": Answer(hang=True),
    "expired": meta_error(138006, 401),
    "in_a_call": meta_error(138003),
    "not_allowed": meta_error(138013),
}
"""How Meta refuses."""
OF_HANG_UPS: Final = (None, None, "wrong", "later", "down", "cut", "silent")
"""What the first attempt to end a call meets; None: Meta takes it."""

Fate = Literal[
    "terminated",  # Meta says that the call is over
    "vanished",  # the media goes, without a word of Meta
    "hung_up",  # the agent ends it
    "broken",  # the conversation fails
    "cut",  # the conversation loses its lease
    "unusable",  # an offer that is none
    "agent_refuses",
    "refused",  # Meta refuses the action that is due
    "declined",
    "unanswered",
    "ordered",  # an operator ends it
    "asked_declined",  # the permission has expired meanwhile: the person is asked, and ...
    "asked_unanswered",
    "asked_granted",
    "stopped",  # the process is told to stop
]
Moment = Literal["first", "offered", "pre_accepted", "accepted", "dialed", "ringing", "picked_up", "active"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """How far a call gets, what ends it then, and the results that it may have."""

    direction: Literal["inbound", "outbound"]
    fate: Fate
    moment: Moment
    results: frozenset[str]
    refuses: tuple[Action, str] | None = None

    def __str__(self) -> str:
        refused = " ".join(("", *self.refuses)) if self.refuses else ""
        return f"{self.direction} {self.fate} {self.moment}{refused}"


def _inbound(fate: Fate, moment: Moment, results: str, refuses: tuple[Action, str] | None = None) -> Scenario:
    return Scenario("inbound", fate, moment, frozenset(results.split()), refuses)


def _outbound(fate: Fate, moment: Moment, results: str, refuses: tuple[Action, str] | None = None) -> Scenario:
    return Scenario("outbound", fate, moment, frozenset(results.split()), refuses)


SCENARIOS: Final = (
    _inbound("terminated", "first", "no_answer"),
    _inbound("terminated", "offered", "no_answer"),
    _inbound("terminated", "pre_accepted", "no_answer"),
    _inbound("terminated", "accepted", "no_answer answered"),
    _inbound("terminated", "active", "answered"),
    _inbound("vanished", "pre_accepted", "failed"),
    _inbound("vanished", "accepted", "failed answered"),
    _inbound("vanished", "active", "answered"),
    _inbound("hung_up", "active", "answered"),
    _inbound("broken", "active", "answered"),
    _inbound("cut", "active", "answered"),
    _inbound("unusable", "offered", "failed"),
    _inbound("agent_refuses", "offered", "failed"),
    *(_inbound("refused", "offered", "failed", ("pre_accept", how)) for how in ("wrong", "down", "cut")),
    *(_inbound("refused", "pre_accepted", "failed", ("accept", how)) for how in ("wrong", "later", "down", "cut")),
    _outbound("terminated", "dialed", "no_answer"),
    _outbound("terminated", "ringing", "no_answer"),
    _outbound("terminated", "active", "answered"),
    _outbound("vanished", "ringing", "failed"),
    _outbound("vanished", "picked_up", "answered"),
    _outbound("vanished", "active", "answered"),
    _outbound("hung_up", "active", "answered"),
    _outbound("broken", "active", "answered"),
    _outbound("declined", "dialed", "busy"),
    _outbound("declined", "ringing", "busy"),
    _outbound("unanswered", "ringing", "no_answer"),
    _outbound("ordered", "ringing", "no_answer"),
    *(_outbound("refused", "dialed", "failed", ("connect", how)) for how in ("not_allowed", "cut")),
    _outbound("refused", "dialed", "busy", ("connect", "in_a_call")),
    _outbound("asked_declined", "dialed", "failed", ("connect", "expired")),
    _outbound("asked_unanswered", "dialed", "failed", ("connect", "expired")),
    _outbound("asked_granted", "active", "answered", ("connect", "expired")),
)
STOPS: Final = (
    _inbound("stopped", "offered", "failed busy"),
    _inbound("stopped", "pre_accepted", "failed"),
    _inbound("stopped", "accepted", "failed answered"),
    _inbound("stopped", "active", "answered"),
    _outbound("stopped", "dialed", "no_answer failed"),
    _outbound("stopped", "ringing", "no_answer"),
    _outbound("stopped", "active", "answered"),
)
