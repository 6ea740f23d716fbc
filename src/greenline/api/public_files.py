"""Files of agents that everybody may have: who shows or plays them shows no key."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from greenline.api.deps import AppServices
from greenline.api.pages import CORS
from greenline.channels.socket.access import workspace_of_agent
from greenline.conversations.files import file_key
from greenline.store.objects import ObjectMissing
from greenline.store.pool import Pool

HEADERS: Final = {"x-content-type-options": "nosniff", "cache-control": "public, max-age=86400, immutable", **CORS}
"""Of an answer with such a file, which never changes."""


async def read_public_file(
    services: AppServices, agent_id: str, file_id: str, workspaces_of: Callable[[Pool, str], Awaitable[list[str]]]
) -> bytes | None:
    """The file, if it is there.

    A copy of an agent has it under the address of the agent that was copied. That may be gone: then the file is
    looked for in ``workspaces_of`` it.
    """
    owner = await workspace_of_agent(services.pool, agent_id)
    for workspace_id in [owner] if owner else await workspaces_of(services.pool, file_id):
        with contextlib.suppress(ObjectMissing):
            return await services.objects.get(file_key(workspace_id, file_id))
    return None
