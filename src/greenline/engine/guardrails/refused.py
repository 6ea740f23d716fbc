"""What is left of a reply that guardrails refused."""

from __future__ import annotations

from dataclasses import dataclass

from greenline.conversations.events import GuardrailsChecked


@dataclass(frozen=True, slots=True)
class Refused:
    """No reply may be given out. ``checks`` have no message yet.

    ``ends`` is the reason for which the conversation is over; None where a reply could not be judged, for ``reason``.
    """

    checks: tuple[GuardrailsChecked, ...]
    message: str
    ends: str | None
    reason: str

    def of(self, message_id: str) -> list[GuardrailsChecked]:
        """The checks, as those of a message."""
        return [check.model_copy(update={"message_id": message_id}) for check in self.checks]
