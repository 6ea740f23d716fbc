"""What becomes of a template: review, and what people's feedback makes of it (Meta: Template pausing, Quality)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from greenline.emulator.background import Background
from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.journal import Journal
from greenline.emulator.webhooks import Webhooks
from greenline.emulator.world import Account, Chat, World

COUNTED_SECONDS: Final = 7 * 24 * 3600.0
DELETION_SECONDS: Final = 30 * 24 * 3600.0  # Meta: how long messages of a deleted template are still brought
PAUSES: Final = (("FIRST_PAUSE", 3 * 3600.0), ("SECOND_PAUSE", 6 * 3600.0))


@dataclass
class Reception:
    """How people took a template: moments by message id. What was before ``since`` counts no more."""

    delivered: dict[str, float] = field(default_factory=dict)
    unwanted: set[str] = field(default_factory=set)
    since: float = 0.0
    pauses: int = 0
    paused_until: float | None = None

    def score(self, now: float, config: Config) -> str:
        """Meta's word for the share of messages of the last days that were not wanted."""
        start = max(self.since, now - COUNTED_SECONDS)
        counted = {wamid for wamid, at in self.delivered.items() if at >= start}
        if len(counted) < config.quality_sample:
            return "UNKNOWN"
        share = len(counted & self.unwanted) / len(counted)
        if share >= config.quality_red_share:
            return "RED"
        return "YELLOW" if share >= config.quality_yellow_share else "GREEN"


class Reviews:
    """Changes the state of templates, and tells the business."""

    def __init__(
        self, world: World, config: Config, clock: MovableClock, webhooks: Webhooks, journal: Journal
    ) -> None:
        self._world = world
        self._config = config
        self._clock = clock
        self._webhooks = webhooks
        self._journal = journal
        self._receptions: dict[str, Reception] = {}
        self._background = Background()

    async def aclose(self) -> None:
        """Stop what waits."""
        await self._background.aclose()

    def decide(
        self, account: Account, template_id: str, verdict: str, reason: str = "NONE", **more: dict[str, Any]
    ) -> None:
        """A template changes its state, and the business is told; a pause by quality that runs is over."""
        template = account.templates[template_id]
        self._reception(template_id).paused_until = None
        template["status"] = verdict
        template["rejected_reason"] = reason if verdict == "REJECTED" else "NONE"
        self._journal.add("template", template_id=template_id, name=template["name"], status=verdict)
        value = {"event": verdict, **_named(template), "reason": reason, **more}
        self._webhooks.account_update(account, "message_template_status_update", value)

    def submit(self, account: Account, template_id: str) -> None:
        """Review a new template after the set delay."""
        self._background.start(self._review(account, template_id))

    def resubmit(self, account: Account, template_id: str) -> None:
        """Review a changed template after the set delay."""
        self.decide(account, template_id, "PENDING")
        self._background.start(self._review(account, template_id))

    def delete(self, account: Account, template_id: str) -> None:
        """Delete a template; while messages of it are on their way it stays, for 30 days at most."""
        if self._is_under_way(template_id):
            self.decide(account, template_id, "PENDING_DELETION")
            self._background.start(self._delete_later(account, template_id))
        else:
            self._remove(account, template_id)

    def settled(self, template_id: str) -> None:
        """A message of the template arrived, or failed: the last one lets go of a template that is to be deleted."""
        account = self._account_of(template_id)
        if account is None or account.templates[template_id]["status"] != "PENDING_DELETION":
            return
        if not self._is_under_way(template_id):
            self._remove(account, template_id)

    def delivered(self, template_id: str, wamid: str) -> None:
        """A message of the template reached a phone."""
        self._reception(template_id).delivered[wamid] = self._clock.now()
        self._judge(template_id)
        self.settled(template_id)

    def unwanted(self, chat: Chat, wamid: str | None = None) -> bool:
        """The person did not want a message: this one, or else the chat's last of a template.

        Returns whether there is such a message from the last seven days; a second complaint about it counts no more.
        """
        oldest = self._clock.now() - COUNTED_SECONDS
        for message in reversed(chat.screen):
            if message.template_id and message.at >= oldest and wamid in (None, message.id):
                self._reception(message.template_id).unwanted.add(message.id)
                self._judge(message.template_id)
                return True
        return False

    async def _review(self, account: Account, template_id: str) -> None:
        await self._clock.sleep(self._config.review_delay)
        waits = account.templates.get(template_id, {}).get("status") == "PENDING"
        if waits and self._config.review_verdict != "PENDING":
            self.decide(account, template_id, self._config.review_verdict)

    def _judge(self, template_id: str) -> None:
        account = self._account_of(template_id)
        if account is None:  # deleted meanwhile
            return
        score = self._reception(template_id).score(self._clock.now(), self._config)
        self._rate(account, template_id, score)
        if score == "RED" and account.templates[template_id]["status"] == "APPROVED":
            self._punish(account, template_id)

    def _rate(self, account: Account, template_id: str, score: str) -> None:
        template = account.templates[template_id]
        before = template["quality_score"]["score"]
        if score == before:
            return
        template["quality_score"] = {"score": score, "date": int(self._clock.now())}
        self._journal.add("template.quality", template_id=template_id, name=template["name"], score=score)
        value = {"previous_quality_score": before, "new_quality_score": score, **_named(template)}
        self._webhooks.account_update(account, "message_template_quality_update", value)

    def _punish(self, account: Account, template_id: str) -> None:
        reception, now = self._reception(template_id), self._clock.now()
        if reception.pauses == len(PAUSES):
            disabled = {"title": "DISABLED", "description": "Disabled for low quality after two pauses."}
            date = {"disable_date": str(int(now))}
            self.decide(account, template_id, "DISABLED", other_info=disabled, disable_info=date)
            return
        title, seconds = PAUSES[reception.pauses]
        until = datetime.fromtimestamp(now + seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
        description = f"Paused for {seconds / 3600:.0f} hours, until {until}, for low quality."
        self.decide(account, template_id, "PAUSED", other_info={"title": title, "description": description})
        reception.pauses += 1
        reception.paused_until = now + seconds
        self._background.start(self._resume(account, template_id, reception.paused_until))

    async def _resume(self, account: Account, template_id: str, until: float) -> None:
        await self._clock.sleep(until - self._clock.now())
        reception = self._reception(template_id)
        if reception.paused_until != until or template_id not in account.templates:
            return
        reception.since = self._clock.now()
        info = {"title": "UNPAUSE", "description": "The pause is over."}
        self.decide(account, template_id, "APPROVED", other_info=info)
        self._rate(account, template_id, "UNKNOWN")

    async def _delete_later(self, account: Account, template_id: str) -> None:
        await self._clock.sleep(DELETION_SECONDS)
        if template_id in account.templates:
            self._remove(account, template_id)

    def _remove(self, account: Account, template_id: str) -> None:
        self.decide(account, template_id, "DELETED")
        del account.templates[template_id], self._receptions[template_id]

    def _is_under_way(self, template_id: str) -> bool:
        chats = self._world.chats.values()
        return any(m.template_id == template_id for chat in chats for m in (*chat.accepted, *chat.outgoing))

    def _account_of(self, template_id: str) -> Account | None:
        return next((a for a in self._world.accounts.values() if template_id in a.templates), None)

    def _reception(self, template_id: str) -> Reception:
        return self._receptions.setdefault(template_id, Reception())


def _named(template: dict[str, Any]) -> dict[str, Any]:
    return {
        "message_template_id": int(template["id"]),
        "message_template_name": template["name"],
        "message_template_language": template["language"],
        "message_template_category": template["category"],
    }
