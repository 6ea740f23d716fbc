"""When a message may be sent: rates of number and pair, the 24-hour window, unknown outcomes. Pure rules.

Both rates are virtual scheduling (GCRA): one moment, the *clock*, tells how far ahead of the steady rate the
sender is. It survives a restart as a single value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from greenline.channels.whatsapp.graph_errors import LONGEST_OUTAGE_DELAY

WINDOW: Final = timedelta(hours=24)  # Meta: Customer service windows
LOST_ANSWERS: Final = 4
"""Attempts without an answer of Meta's weigh as much as one that it could not process: they end after an hour."""
WINDOW_CLOSED: Final = 131047  # Meta: re-engagement message
UNHEARD: Final = timedelta(minutes=5)
"""How long a message of unknown outcome waits where no server listens, or where other statuses are overdue."""
STATUS_SECONDS: Final = 5.0
"""An accepted message that long without a status shows that webhooks do not reach us; one takes about 1 s."""
LONGEST_OUTAGE: Final = timedelta(hours=1)
TEMPLATE_PATIENCE: Final = timedelta(hours=6)
"""How long a template that Meta refuses for now is tried: no window ends, but what it says grows old."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A steady ``interval`` between messages, of which ``burst`` may go at once and are repaid by silence."""

    interval: timedelta
    burst: int

    def earliest(self, clock: datetime | None, now: datetime) -> datetime:
        """The first moment from ``now`` on at which one more message keeps to the rate."""
        if clock is None:
            return now
        return max(now, self._of_now(clock, now) - self.interval * (self.burst - 1))

    def after(self, clock: datetime | None, now: datetime) -> datetime:
        """The clock when one more message is sent at ``now``."""
        return max(now, self._of_now(clock or now, now)) + self.interval

    def _of_now(self, clock: datetime, now: datetime) -> datetime:
        """It is never further ahead than a whole burst, unless the machine's own clock was set back."""
        return min(clock, now + self.interval * self.burst)


def number_pace(per_second: float) -> Pace:
    """The rate of a number, so that no window of one second ever holds more than ``per_second`` messages."""
    burst = max(1, int(per_second // 16))
    steady = max(per_second - burst, per_second / 2)
    return Pace(timedelta(seconds=1 / steady), burst)


@dataclass(frozen=True, slots=True)
class Send:
    """Send now; the clocks to keep when it is done."""

    pair_clock: datetime
    number_clock: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before ``until``."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Refuse:
    """Don't try. ``code`` is Meta's where Meta would refuse it."""

    code: int | None
    title: str
    details: str


Verdict: TypeAlias = Send | Wait | Refuse


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits of one number."""

    number: Pace
    pair: Pace
    window_margin: timedelta
    max_unknown: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of the first open message of a chat."""

    kind: str
    created_at: datetime
    due_at: datetime
    attempt: int
    unknown_outcomes: int
    """What counts towards `Rules.max_unknown`."""
    last_user_message_at: datetime | None
    pair_clock: datetime | None


def judge(candidate: Candidate, rules: Rules, number_clock: datetime | None, now: datetime) -> Verdict:
    """Whether a message may leave at ``now``. The window is judged here, at the moment of sending.

    What Meta refused for now is tried as long as it is of use; only what may have arrived is not tried for ever.
    """
    if candidate.due_at > now:
        return Wait(candidate.due_at)
    if candidate.unknown_outcomes >= rules.max_unknown:
        details = f"Meta left open what became of {candidate.attempt} attempts; see the log for each."
        return Refuse(None, "Given up", details)
    if candidate.kind == "template" and candidate.attempt and now >= candidate.created_at + TEMPLATE_PATIENCE:
        hours = TEMPLATE_PATIENCE // timedelta(hours=1)
        return Refuse(None, "Given up", f"Meta took no message for {hours} hours; see the log for the errors.")
    if candidate.kind != "template" and not window_open(candidate.last_user_message_at, rules.window_margin, now):
        return Refuse(
            WINDOW_CLOSED,
            "Re-engagement message",
            "More than 24 hours have passed since the person last wrote"
            f"{', and Meta took none of the attempts before' if candidate.attempt else ''}. "
            "Send a template to open the window.",
        )
    earliest = max(rules.number.earliest(number_clock, now), rules.pair.earliest(candidate.pair_clock, now))
    if earliest > now:
        return Wait(earliest)
    return Send(rules.pair.after(candidate.pair_clock, now), rules.number.after(number_clock, now))


def window_open(last_user_message_at: datetime | None, margin: timedelta, now: datetime) -> bool:
    """Whether free-form messages are allowed, with ``margin`` before the end for the way to Meta."""
    return last_user_message_at is not None and now < last_user_message_at + WINDOW - margin


def unknown_wait(grace: timedelta, attempt: int) -> timedelta:
    """How long the outcome of attempt number ``attempt`` (from 0) may be told of: longer each time, to spare Meta."""
    return max(grace, min(grace * 2.0 ** min(attempt, 12), timedelta(seconds=LONGEST_OUTAGE_DELAY)))


def repeat_at(
    attempted: datetime, listening: datetime | None, heard: datetime | None, cut_off: bool, grace: timedelta
) -> datetime:
    """When a message of unknown outcome may be sent again, if no status has settled it.

    ``listening``: since when a server of this deployment could take what Meta delivers, without a break; None while
    none can. ``heard``: when Meta first delivered anything after the attempt. What it could not deliver it repeats
    ever later, so that after an outage the status may be as late again as that was long (Meta: Webhooks).
    ``cut_off``: whether statuses of other messages are overdue. Silence alone proves nothing: nobody may be writing.
    """
    late = heard if heard is not None and heard - attempted > grace else None
    reachable = max(moment for moment in (attempted, listening, late) if moment is not None)
    silent = listening is None or (cut_off and heard is None)
    return reachable + min(reachable - attempted, LONGEST_OUTAGE) + (max(UNHEARD, grace) if silent else grace)
