"""Who a browser is that holds no key: the client of a public agent, or of a conversation that is running."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials

from greenline.api.auth import API_KEY, BEARER, authenticate
from greenline.api.deps import Services
from greenline.channels.socket.access import workspace_of_live, workspace_of_talk
from greenline.errors import Forbidden, NeedsAuthorization
from greenline.workspaces.models import Workspace

RATING_TIME: Final = timedelta(hours=1)
"""How long a page may ask its visitor after the end."""


class AccessRefused(Forbidden):
    """The agent does not talk to this page."""

    code = "access_refused"


async def optional_caller(
    request: Request,
    api_key: Annotated[str | None, Depends(API_KEY)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
) -> Workspace | None:
    """The workspace of the key, None without a key. Raises `greenline.errors.InvalidApiKey`."""
    if not api_key and bearer is None:
        return None
    return await authenticate(request, api_key, bearer)


OptionalCaller = Annotated[Workspace | None, Depends(optional_caller)]


async def live_client(conversation_id: str, services: Services, caller: OptionalCaller) -> str:
    """The workspace of a conversation's client: by its key, or by the id of its running conversation on a socket.

    The id is random and known to that client alone (reference: Files). Raises `NeedsAuthorization`.
    """
    if caller is not None:
        return caller.id
    workspace_id = await workspace_of_live(services.pool, conversation_id)
    if workspace_id is None:
        raise NeedsAuthorization
    return workspace_id


async def rating_client(conversation_id: str, services: Services, caller: OptionalCaller) -> str:
    """As `live_client`; the client may also rate what is over, for `RATING_TIME`. Raises `NeedsAuthorization`."""
    if caller is not None:
        return caller.id
    workspace_id = await workspace_of_talk(services.pool, conversation_id, services.clock.now() - RATING_TIME)
    if workspace_id is None:
        raise NeedsAuthorization
    return workspace_id


LiveClient = Annotated[str, Depends(live_client)]
RatingClient = Annotated[str, Depends(rating_client)]
