"""A number's throughput, which what leaves shares with what comes in (Meta: Throughput).

What this process takes in is known here without a look at the database, which a single answer can't wait for. Only
where there is much traffic, what other processes take in is counted too.

What leaves never exceeds the rate at Meta, however long each request takes. With what comes in it doesn't either, as
long as people write no more than a part of the rate (`UNFORESEEN`) in the time in which we can't know of it: that of
a webhook and of a request of ours together, and `FRESH` with other processes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from greenline.channels.whatsapp.held_number import SET_BACK, HeldNumber

STANDARD: Final = 80.0
HIGH: Final = 1_000.0
COEXISTENCE: Final = 20.0
"""Messages a second of a number, of one that was upgraded, and of one that the Business app uses too."""
SECOND: Final = timedelta(seconds=1)
FORESIGHT: Final = ((1, 0), (4, 1), (20, 2))
"""While a burst begins, what a shorter part of the last second promises: its quarter, its twentieth.

Not counted are as many messages as may come together by chance: three people at once are no crowd.
"""
UNFORESEEN: Final = 1 / 16
"""Part of the throughput that stays free for what can't be foreseen: what is written while a request is under way."""
LITTLE: Final = 1 / 16
"""Part of the throughput below which what leaves, and what comes in here, is too little for the rest to matter."""
FRESH: Final = timedelta(milliseconds=250)
"""How long a number with much traffic goes by the last count of what came in by other processes."""
UNTOLD: Final = 1 / 4
"""What Meta has counted more than it has told of, as a part of what it told."""
RESERVE: Final = 1 / 5
"""Part of the throughput that stays free when much begins to come in: how much it will be, Meta has not told yet."""
RESERVE_SECONDS: Final = 5.0
PORTIONS: Final = 20
"""While much comes in, the room is used up in so many portions: more may come in before Meta has taken the first."""
FULL: Final = 13 / 16
"""Part of the throughput that what comes in may take: an eighth is sent all the same after `FULL_SECONDS`."""
FULL_SECONDS: Final = 5.0


def throughput_of(setting: float, account_type: str | None, level: str | None) -> float:
    """Messages a second of a number. ``setting`` is that of a standard one; the others follow it.

    ``level`` is Meta's: STANDARD or HIGH.
    """
    if account_type == "coexistence":
        return min(setting, COEXISTENCE)
    return min(setting * HIGH / STANDARD, max(setting, HIGH)) if level == "HIGH" else setting


class Inflow:
    """What people write to each number, as this process takes it in."""

    def __init__(self) -> None:
        self._moments: defaultdict[str, list[datetime]] = defaultdict(list)

    def note(self, phone_number_id: str, now: datetime) -> None:
        """A message has come in. One that is told again counts again: it is not known here that it was there."""
        moments = self._moments[phone_number_id]
        if moments and moments[-1] > now + SET_BACK:
            moments.clear()
        moments.append(now)
        if moments[0] < now - 2 * SECOND:
            del moments[: bisect_left(moments, now - SECOND)]

    def count(self, phone_number_id: str, now: datetime, part: timedelta = SECOND) -> int:
        """Messages of the last ``part`` of a second."""
        moments = self._moments.get(phone_number_id, ())
        return bisect_right(moments, now + SET_BACK) - bisect_left(moments, now - part)

    def rate(self, phone_number_id: str, now: datetime) -> int:
        """Messages a second, foreseen while a burst begins: Meta has counted more than it has told of yet."""
        return max(times * (self.count(phone_number_id, now, SECOND / times) - chance) for times, chance in FORESIGHT)


class Throughput:
    """How much room a number has, so that Meta counts no more than ``per_second`` messages in any second."""

    def __init__(self, per_second: float, inflow: Inflow) -> None:
        self._per_second = per_second
        self._usable = max(1.0, per_second * (1 - UNFORESEEN))
        self._inflow = inflow

    def room(self, number: HeldNumber, more: int, now: datetime) -> int | None:
        """How many of ``more`` messages may leave; None where `counted` must be told first what came in."""
        number.look(now)
        sent, name = number.sent_since(now - SECOND), number.phone_number_id
        inbound = self._inflow.rate(name, now)
        if number.counted_at is not None and number.counted_at >= now - FRESH:
            inbound += number.inbound_elsewhere
        elif max(self._inflow.count(name, now), sent + more) > self._per_second * LITTLE:
            return None
        room = self._usable - sent - self._heeded(number, inbound * (1 + UNTOLD), now)
        if inbound <= self._per_second * LITTLE:
            number.busy_since = None
            return max(0, int(room))
        return max(0, ceil((room - self._reserve(number, now)) / PORTIONS))

    def counted(self, number: HeldNumber, inbound: int, now: datetime) -> None:
        """Messages a second that come in by whatever process."""
        number.inbound_elsewhere = max(0, inbound - self._inflow.rate(number.phone_number_id, now))
        number.counted_at = now

    def forgettable_at(self, number: HeldNumber, now: datetime) -> datetime | None:
        """When somebody who knows nothing of what was sent may send at the whole rate; None: now."""
        number.sent_since(now - SECOND)
        place = len(number.landings) - 1 - int(self._per_second * UNFORESEEN)
        return number.landings[place] + SECOND if place >= 0 else None

    def _reserve(self, number: HeldNumber, now: datetime) -> float:
        number.busy_since = number.busy_since or now
        begins = now < number.busy_since + timedelta(seconds=RESERVE_SECONDS)
        return self._per_second * RESERVE if begins else 0.0

    def _heeded(self, number: HeldNumber, inbound: float, now: datetime) -> float:
        """What comes in, as far as it is waited for: nobody knows for sure that Meta refuses what leaves then."""
        most = self._per_second * FULL
        if inbound < most:
            number.full_since = None
            return inbound
        number.full_since = number.full_since or now
        return inbound if now < number.full_since + timedelta(seconds=FULL_SECONDS) else most
