"""Who calls: the API key of a request, and the workspace that it opens."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from greenline.errors import NeedsAuthorization
from greenline.workspaces.keyring import Keyring
from greenline.workspaces.models import Workspace

API_KEY = APIKeyHeader(name="xi-api-key", auto_error=False, description="A key of `greenline key create`.")
BEARER = HTTPBearer(auto_error=False, description="The same key, for clients that only know this header.")


async def authenticate(
    request: Request,
    api_key: Annotated[str | None, Depends(API_KEY)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
) -> Workspace:
    """The workspace of the caller. Raises `NeedsAuthorization` or `greenline.errors.InvalidApiKey`."""
    key = api_key or (bearer.credentials if bearer else None)
    if not key:
        raise NeedsAuthorization
    return await cast("Keyring", request.app.state.services.keyring).authenticate(key)
