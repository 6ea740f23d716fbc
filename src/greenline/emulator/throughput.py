"""How many messages a number may send in a second, and how that grows (Meta: Throughput)."""

from __future__ import annotations

from typing import Final

from greenline.emulator.background import Background
from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.journal import Journal
from greenline.emulator.quotas import forget, remember
from greenline.emulator.webhooks import Webhooks
from greenline.emulator.world import Number, World

DAY: Final = 86_400.0


class Throughput:
    """Judges the rate of numbers, and upgrades those that write to very many people."""

    def __init__(
        self, world: World, config: Config, clock: MovableClock, webhooks: Webhooks, journal: Journal
    ) -> None:
        self._world = world
        self._config = config
        self._clock = clock
        self._webhooks = webhooks
        self._journal = journal
        self._background = Background()

    async def aclose(self) -> None:
        """Stop what waits."""
        await self._background.aclose()

    def judge(self, number: Number) -> None:
        """Refuse one more message of the number now. Raises `MetaError` 130429, or 131057 during an upgrade."""
        if not self._config.enforce_throughput:
            return
        if number.throughput == "UPGRADING":
            raise MetaError(131057, "The throughput of the number is being upgraded.")
        number.recent = [moment for moment in number.recent if moment > self._clock.now() - 1.0]
        if len(number.recent) >= self._per_second(number):
            raise MetaError(130429, "Cloud API message throughput has been reached.")

    def wrote_first(self, number: Number, person_id: str) -> None:
        """Count somebody to whom the number wrote outside of the window; begins an upgrade that is earned by it."""
        now = self._clock.now()
        forget(number.opened, now - DAY)
        remember(number.opened, person_id, now)
        if number.throughput == "STANDARD" and self._has_earned_more(number):
            number.throughput = "UPGRADING"
            self._background.start(self._upgrade(number))

    def _per_second(self, number: Number) -> int:
        if number.coexists:
            return self._config.coexistence_throughput_per_second
        high = number.throughput == "HIGH"
        return self._config.high_throughput_per_second if high else self._config.throughput_per_second

    def _has_earned_more(self, number: Number) -> bool:
        config = self._config
        return (
            config.enforce_throughput
            and config.messaging_limit == "TIER_UNLIMITED"
            and not number.coexists
            and len(number.opened) >= config.throughput_upgrade_people
            and not self._world.is_unwanted()
        )

    async def _upgrade(self, number: Number) -> None:
        await self._clock.sleep(self._config.throughput_upgrade_seconds)
        number.throughput = "HIGH"
        self._journal.add("throughput", phone_number_id=number.id, level=number.throughput)
        value = {
            "display_phone_number": number.wa_id,
            "event": "THROUGHPUT_UPGRADE",
            "max_daily_conversations_per_business": "TIER_UNLIMITED",
        }
        self._webhooks.account_update(self._world.accounts[number.account_id], "phone_number_quality_update", value)
