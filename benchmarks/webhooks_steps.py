"""`greenline serve` whose turns are three journaled steps and a reply: the engine of turns alone, without an agent.

    python webhooks_steps.py serve --port 0 --data-dir DIR

Inbox, mailboxes, workers and the commit are the server's own. Replies leave at the rate of a number (80/s), the
rest waits in the outbox. The design's first engine did 1,000 such turns a second beside 4,000 webhooks.
"""

from __future__ import annotations

import load

from greenline.channels.whatsapp.commit import QueuedMessage, TurnCommit
from greenline.channels.whatsapp.compose import Composed
from greenline.channels.whatsapp.turns import Turns
from greenline.cli import app
from greenline.ids import new_id
from greenline.store.mailbox import Claim, Step

STEPS = 3


class Steps(Turns):
    """Turns that answer everything with the same words, after each step is durable."""

    async def handle(self, claim: Claim) -> None:
        """As of `Turns`."""
        commit = TurnCommit(claim, self._clock.now())
        inputs = tuple(item.id for item in claim.items)
        for number in range(len(claim.steps) + 1, STEPS + 1):
            result = {"number": number, "result": "x" * 100}
            await self._mailboxes.save_step(
                claim, Step(number, inputs, "tool", has_effect=True, result=result, at=commit.now)
            )
        commit.done = dict.fromkeys(inputs)
        commit.chat = {"last_user_message_at": commit.now}
        reply = Composed("text", {"type": "text", "text": {"body": "We open at nine."}}, ())
        commit.outbox = [QueuedMessage(new_id("out"), load.NUMBER, "conv_none", reply)] if inputs else []
        await self._committer.commit(commit)


Turns.handle = Steps.handle  # type: ignore[method-assign,assignment]
if __name__ == "__main__":
    app()
