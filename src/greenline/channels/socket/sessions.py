"""Conversations of the agent socket as live sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from greenline.agents.brought import check_brings_all
from greenline.agents.config import ConversationConfig
from greenline.agents.initiation import InitiationData, SourceInfo
from greenline.agents.models import AgentVersion
from greenline.agents.service import get
from greenline.channels.live.beginning import Beginning
from greenline.channels.live.held import HeldConversation
from greenline.channels.live.models import AudioOut
from greenline.channels.live.session import LiveSession
from greenline.channels.live.sessions import LiveSessions, unless_away
from greenline.channels.socket.access import Admission, used_already
from greenline.channels.socket.session import Start
from greenline.clock import Clock
from greenline.insight.post_call import keep_webhooks
from greenline.store.mailbox import LeaseLost
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.workspaces.environments import check_environment

UNKNOWN_SOURCE: Final = "unknown"
T = TypeVar("T")


class SocketSessions:
    """The `greenline.channels.socket.session.Sessions` of the server."""

    def __init__(self, pool: Pool, vault: Vault, clock: Clock, live: LiveSessions) -> None:
        self._pool = pool
        self._vault = vault
        self._clock = clock
        self._live = live

    async def check(self, start: Start) -> None:
        """Whether a conversation could begin so. Raises as `start` does."""
        await self._live.check(await self._beginning(start))

    async def start(self, start: Start, out: Callable[[ConversationConfig], AudioOut]) -> LiveSession:
        """A conversation that is ready to run.

        Raises pydantic's ``ValidationError`` for start data of a wrong shape, and the house's own refusals of it.
        """
        beginning = await self._beginning(start)
        await self._keep_webhooks(start.admission)
        try:
            return await self._live.begin(beginning, out)
        except LeaseLost:  # the same URL let somebody else in at the same moment
            raise used_already() from None

    async def turn_away(self, start: Start, code: int, reason: str) -> None:
        """Keep the conversation of a client that was told its id, and that nobody served. Raises as `start` does."""
        beginning = await self._beginning(start)
        await self._keep_webhooks(start.admission)
        try:
            await self._live.turn_away(beginning, code, reason)
        except LeaseLost:
            raise used_already() from None

    def held(self, conversation_id: str) -> HeldConversation | None:
        """A conversation that runs in this process and may be watched: on a socket, in a room, on a call."""
        return self._live.held.find(conversation_id)

    async def _beginning(self, start: Start) -> Beginning:
        data = InitiationData.model_validate(
            {name: value for name, value in start.data.items() if value is not None and name != "type"}
        )
        admission = start.admission
        if admission.brings_all:
            check_brings_all(start.data)
        named = admission.environment or data.environment
        environment = await self._unless_away(lambda: check_environment(self._pool, admission.workspace_id, named))
        info = data.source_info or SourceInfo()
        source = start.source or info.source or UNKNOWN_SOURCE
        info = SourceInfo(source=source, version=info.version or start.version or None)
        return Beginning(
            version=await self._version(start, data),
            workspace_id=admission.workspace_id,
            source=source,
            method=admission.method,
            environment=environment,
            data=data.model_copy(update={"source_info": info}),
            conversation_id=admission.conversation_id,
            queued_seconds=start.queued_seconds,
            knowledge=admission.knowledge,
        )

    async def _keep_webhooks(self, admission: Admission) -> None:
        """Before the conversation: from its first moment on, they are told of it however it ends."""
        if not admission.webhooks:
            return
        await self._unless_away(
            lambda: keep_webhooks(
                self._pool,
                self._vault,
                self._clock,
                admission.workspace_id,
                admission.conversation_id or "",
                admission.webhooks,
            )
        )

    async def _unless_away(self, work: Callable[[], Awaitable[T]]) -> T:
        return await unless_away(work, self._live.patience)

    async def _version(self, start: Start, data: InitiationData) -> AgentVersion:
        admission = start.admission
        if admission.pinned or not data.branch_id:
            return admission.version
        agent = await self._unless_away(
            lambda: get(self._pool, admission.workspace_id, admission.version.agent_id, branch_id=data.branch_id)
        )
        return agent.version
