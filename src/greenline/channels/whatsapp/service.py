"""The WhatsApp channel as one part: its inbox, its turns, its senders, in the order in which they start and stop."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from greenline.channels.whatsapp.account_checks import note_refusal
from greenline.channels.whatsapp.commit import Committer
from greenline.channels.whatsapp.dialogues import Dialogues
from greenline.channels.whatsapp.facts import Facts
from greenline.channels.whatsapp.files import FileFetcher
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.channels.whatsapp.graph_token import NumberToken
from greenline.channels.whatsapp.hearing import Hearing
from greenline.channels.whatsapp.housekeeping import Housekeeping
from greenline.channels.whatsapp.inbox import Inbox
from greenline.channels.whatsapp.listening import listening_lock
from greenline.channels.whatsapp.presence import Presence
from greenline.channels.whatsapp.sender import Sender
from greenline.channels.whatsapp.throughput import Inflow
from greenline.channels.whatsapp.turns import Turns
from greenline.channels.whatsapp.voice_notes import VoiceNotes
from greenline.channels.whatsapp.webhook import Webhook
from greenline.clock import Clock
from greenline.llm.models import LanguageModels
from greenline.settings import Settings
from greenline.speech.models import Speech
from greenline.store.mailbox import Mailboxes
from greenline.store.objects import Objects
from greenline.store.pool import Pool
from greenline.store.precedence import Delay
from greenline.store.vault import Vault
from greenline.store.wakeups import Wakeups
from greenline.store.worker import Worker
from greenline.tools.mcp.toolbox import Mcp

SENDERS_PER_PROCESS: Final = 200
"""Numbers that one process sends for at once; a sender that waits costs nothing but a task."""


class WhatsApp:
    """Everything of the channel that runs. ``start`` after the store is open, ``stop`` before it closes."""

    def __init__(
        self,
        *,
        pool: Pool,
        wakeups: Wakeups,
        graph: GraphClient,
        vault: Vault,
        models: LanguageModels,
        mcp: Mcp,
        speech: Speech,
        objects: Objects,
        clock: Clock,
        settings: Settings,
        inbox_pool: Pool | None = None,
    ) -> None:
        mailboxes = Mailboxes(pool, lease_seconds=settings.lease_seconds)
        owner = secrets.token_hex(8)

        async def refused(token: NumberToken, error: GraphError) -> None:
            await note_refusal(pool, token, error, clock.now())

        self.facts = Facts(pool, wakeups, clock)
        self._presence = presence = Presence(graph, clock)
        inflow, delay = Inflow(), Delay()
        sender = Sender(
            pool,
            mailboxes,
            graph,
            vault,
            clock,
            settings,
            refused,
            presence.settled,
            inflow,
            lambda: self.senders.steady_since,
        )
        files = FileFetcher(pool, graph, vault, objects, clock)
        voice_notes = VoiceNotes(graph, vault, files, speech, settings)
        turns = Turns(
            pool=pool,
            mailboxes=mailboxes,
            committer=Committer(pool, wakeups, clock, sender.book),
            dialogues=Dialogues(pool, vault, settings, mcp),
            hearing=Hearing(pool, files, voice_notes),
            voice_notes=voice_notes,
            presence=presence,
            vault=vault,
            models=models,
            clock=clock,
            settings=settings,
        )
        self.senders = Worker(
            mailboxes,
            wakeups,
            clock,
            kind="sender",
            owner=owner,
            handler=sender.handle,
            give_up=sender.give_up,
            room=SENDERS_PER_PROCESS,
        )
        self.turns = Worker(
            mailboxes,
            wakeups,
            clock,
            kind="chat",
            owner=owner,
            handler=turns.handle,
            give_up=turns.give_up,
            room=settings.turn_concurrency,
            max_attempts=settings.turn_max_attempts,
            after=delay,
        )
        self.inbox = Inbox(inbox_pool or pool, clock, vault, self.turns, inflow, delay)
        self.webhook = Webhook(self.inbox, settings)
        self.housekeeping = Housekeeping(pool, self.inbox, clock, settings)
        self._takes_webhooks = settings.takes_webhooks
        self._wakeups, self._clock = wakeups, clock

    def start(self) -> None:
        """Begin to work."""
        if self._takes_webhooks:
            self._wakeups.hold(lambda: listening_lock(self._clock.now()))
        self.housekeeping.start()
        self.facts.start()
        self.senders.start()
        self.turns.start()

    async def stop(self, seconds: float) -> None:
        """Take no new work, finish what runs within ``seconds``. What is left is taken over when its lease ends."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        await self.turns.stop(seconds)
        await self.senders.stop(max(0.0, deadline - loop.time()))
        await self._presence.aclose()
        await self.facts.stop()
        await self.housekeeping.stop(0.0)

    def state(self) -> dict[str, bool]:
        """Which parts are alive, for `/readyz`."""
        return {"turns": self.turns.running, "senders": self.senders.running, "statuses": self.facts.running}
