"""Conversations of the agent socket as live sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from greenline.agents.config import ConversationConfig
from greenline.agents.initiation import InitiationData, SourceInfo
from greenline.agents.models import AgentVersion
from greenline.agents.service import get
from greenline.channels.live.begin import Beginning, LiveSessions
from greenline.channels.live.models import AudioOut
from greenline.channels.live.session import LiveSession
from greenline.channels.socket.errors import Refused
from greenline.channels.socket.session import Start
from greenline.store.pool import Pool

UNKNOWN_SOURCE: Final = "unknown"
PRODUCTION: Final = "production"


class SocketSessions:
    """The `greenline.channels.socket.session.Sessions` of the server."""

    def __init__(self, pool: Pool, live: LiveSessions) -> None:
        self._pool = pool
        self._live = live

    async def start(self, start: Start, out: Callable[[ConversationConfig], AudioOut]) -> LiveSession:
        """A conversation that is ready to run.

        Raises pydantic's ``ValidationError`` for start data of a wrong shape, `Refused` and other refusals.
        """
        data = InitiationData.model_validate(
            {name: value for name, value in start.data.items() if value is not None and name != "type"}
        )
        admission = start.admission
        environment = admission.environment or data.environment or PRODUCTION
        if environment != PRODUCTION:
            raise Refused(f"There is no environment {environment[:60]}; the one of this workspace is {PRODUCTION}.")
        info = data.source_info or SourceInfo()
        source = start.source or info.source or UNKNOWN_SOURCE
        info = SourceInfo(source=source, version=info.version or start.version or None)
        beginning = Beginning(
            version=await self._version(start, data),
            workspace_id=admission.workspace_id,
            source=source,
            method=admission.method,
            data=data.model_copy(update={"source_info": info}),
            conversation_id=admission.conversation_id,
        )
        return await self._live.begin(beginning, out)

    async def _version(self, start: Start, data: InitiationData) -> AgentVersion:
        admission = start.admission
        if admission.pinned or not data.branch_id:
            return admission.version
        agent = await get(self._pool, admission.workspace_id, admission.version.agent_id, branch_id=data.branch_id)
        return agent.version
