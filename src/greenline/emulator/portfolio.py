"""To how many people a portfolio may write first, and how that grows (Meta: Messaging limits)."""

from __future__ import annotations

import itertools
from typing import Final

from greenline.emulator.background import Background
from greenline.emulator.clock import MovableClock
from greenline.emulator.config import PORTFOLIO_LIMITS, Config, Tier
from greenline.emulator.errors import MetaError
from greenline.emulator.journal import Journal
from greenline.emulator.quotas import forget, remember
from greenline.emulator.throughput import DAY, Throughput
from greenline.emulator.webhooks import Webhooks
from greenline.emulator.world import Chat, World

MOST_NUMBERS: Final = 20  # Meta: of a portfolio that is verified
_NEXT: Final = dict(itertools.pairwise(PORTFOLIO_LIMITS))


class Portfolio:
    """The one portfolio that all business accounts belong to."""

    def __init__(
        self,
        world: World,
        config: Config,
        clock: MovableClock,
        webhooks: Webhooks,
        journal: Journal,
        throughput: Throughput,
    ) -> None:
        self._world = world
        self._config = config
        self._clock = clock
        self._webhooks = webhooks
        self._journal = journal
        self._throughput = throughput
        self._background = Background()
        self._rising: Tier | None = None
        """The limit that a rise under way starts from."""

    async def aclose(self) -> None:
        """Stop what waits."""
        await self._background.aclose()

    def open(self, chat: Chat) -> MetaError | None:
        """Count a conversation that the business opens; returns why its message will fail, if it will."""
        now, opened, tier = self._clock.now(), self._world.opened, self._config.messaging_limit
        if chat.window_until > now:
            return None
        forget(opened, now - DAY)
        if chat.person.id not in opened and len(opened) >= PORTFOLIO_LIMITS[tier]:
            return MetaError(131048, f"The portfolio has reached its messaging limit, {tier}.")
        remember(opened, chat.person.id, now)
        self._throughput.wrote_first(chat.number, chat.person.id)
        if self._rising != tier and self._has_earned_more(tier):
            self._rising = tier
            self._background.start(self._rise(tier))
        return None

    def _has_earned_more(self, tier: Tier) -> bool:
        used = len(self._world.opened)
        return tier in _NEXT and used >= PORTFOLIO_LIMITS[tier] / 2 and not self._world.is_unwanted()

    async def _rise(self, tier: Tier) -> None:
        """Raise the limit, unless it was set by hand or the quality became low meanwhile."""
        await self._clock.sleep(self._config.messaging_limit_rise_delay)
        self._rising = None
        if self._config.messaging_limit != tier or self._world.is_unwanted():
            return
        self._config.messaging_limit = risen = _NEXT[tier]
        self._journal.add("messaging_limit", before=tier, now=risen)
        people = PORTFOLIO_LIMITS[risen]
        value = {
            "max_daily_conversations_per_business": -1 if risen == "TIER_UNLIMITED" else int(people),
            "max_phone_numbers_per_business": MOST_NUMBERS,
        }
        for account in self._world.accounts.values():
            self._webhooks.account_update(account, "business_capability_update", value)
