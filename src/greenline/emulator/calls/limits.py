"""What a number may do with calls at all (Meta: Calling API, limits): how many at once, how many tries a day."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from greenline.emulator.calls.call import Call
from greenline.emulator.calls.permissions import DAY
from greenline.emulator.config import PORTFOLIO_LIMITS, Config
from greenline.emulator.errors import MetaError
from greenline.emulator.quotas import take
from greenline.emulator.world import Number

NEEDED_LIMIT: Final = 2_000
"""People to whom the portfolio may write in 24 hours, before its numbers may call anybody; not of test numbers."""


class CallLimits:
    """Counts calls and tries by number."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._tries: dict[str, deque[float]] = {}
        self._queries: dict[str, deque[float]] = {}

    def is_full(self, number: Number, calls: Iterable[Call]) -> bool:
        """Whether the number has as many calls as it may have; Meta tells a business nothing of those beyond."""
        live = sum(call.number is number and call.state != "ended" for call in calls)
        return live >= self._config.call_concurrency

    def begin(self, number: Number, calls: Iterable[Call], now: float) -> None:
        """The business tries to call. Raises `MetaError` 138002, 138005 or 138015."""
        if number.test_recipients is None and PORTFOLIO_LIMITS[self._config.messaging_limit] < NEEDED_LIMIT:
            raise MetaError(138015, f"The messaging limit must be {NEEDED_LIMIT} at least.")
        if self.is_full(number, calls):
            raise MetaError(138002, f"The number has {self._config.call_concurrency} calls already.")
        if not _count(self._tries, number, now, DAY, self._config.call_attempts_per_day):
            raise MetaError(138005, f"The number has tried {self._config.call_attempts_per_day} calls in 24 hours.")

    def query(self, number: Number, now: float) -> None:
        """The business asks for a permission. Raises `MetaError` 613."""
        if not _count(self._queries, number, now, 1.0, self._config.call_permission_queries_per_second):
            raise MetaError(613, "Too many queries of call permissions in a second.")


def _count(counted: dict[str, deque[float]], number: Number, now: float, seconds: float, most: int) -> bool:
    return take(counted.setdefault(number.id, deque()), now, seconds, most)
