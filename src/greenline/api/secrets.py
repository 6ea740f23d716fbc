"""Workspace secrets over HTTP (reference: Secrets). No answer holds a value."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, SecretStr

from greenline.api.dependents import DependentAgentAnswer
from greenline.api.deps import Caller, Services
from greenline.api.discreet import Discreet
from greenline.store.cursor import InvalidCursor
from greenline.workspaces import secrets
from greenline.workspaces.secrets import Secret, User

router = APIRouter(prefix="/v1/convai/secrets", tags=["Secrets"], route_class=Discreet)

PREVIEW: Final = 20
"""How many of its users a secret tells of by itself; the dependencies of the secret are the whole list."""

SecretName = Annotated[str, Field(min_length=1, max_length=500)]
SecretValue = Annotated[SecretStr, Field(min_length=1)]
PageSize = Annotated[int | None, Query(ge=1, le=100)]


class CreateSecret(BaseModel):
    """A new secret."""

    type: Literal["new"] = "new"
    name: SecretName
    value: SecretValue


class UpdateSecret(BaseModel):
    """Another name and value of a secret; both are needed, since the old value can't be read."""

    type: Literal["update"] = "update"
    name: SecretName
    value: SecretValue


class StoredSecret(BaseModel):
    """A secret without its value."""

    type: Literal["stored"] = "stored"
    secret_id: str
    name: str


class DependentMcpServer(BaseModel):
    """An MCP server that uses a secret (SDK: DependentAvailableMcpServerIdentifier)."""

    type: Literal["available"] = "available"
    id: str
    name: str
    created_at_unix_secs: int
    access_level: Literal["admin"] = "admin"


class UsedBy(BaseModel):
    """What uses a secret: agents, the tools written into them as theirs, and MCP servers."""

    tools: list[Any] = []
    tools_has_more: bool = False
    agents: list[DependentAgentAnswer]
    agents_has_more: bool
    phone_numbers: list[Any] = []
    phone_numbers_has_more: bool = False
    mcp_servers: list[DependentMcpServer] = []
    others: list[Any] = []


class SecretAnswer(StoredSecret):
    """A secret and what uses it."""

    used_by: UsedBy


class SecretPage(BaseModel):
    """A page of the list."""

    secrets: list[SecretAnswer]
    next_cursor: str | None


class DependencyPage(BaseModel):
    """A page of what uses a secret."""

    dependencies: list[DependentAgentAnswer]
    next_cursor: str | None


@router.get("")
async def list_secrets(
    services: Services,
    workspace: Caller,
    page_size: PageSize = None,
    dependency_limit: Annotated[int, Query(ge=0, le=100)] = PREVIEW,
    search: Annotated[str | None, Query(description="How the name begins, in any case.")] = None,
    cursor: str | None = None,
) -> SecretPage:
    """The workspace's secrets, the newest first; all of them without a page size."""
    try:
        found, next_cursor = await secrets.list_secrets(
            services.pool,
            workspace.id,
            search=search or None,
            page_size=page_size,
            cursor=cursor,
            preview=dependency_limit,
        )
    except InvalidCursor as error:
        raise _refused_cursor(error, cursor) from error
    return SecretPage(secrets=[_answer(secret) for secret in found], next_cursor=next_cursor)


@router.post("")
async def create_secret(body: CreateSecret, services: Services, workspace: Caller) -> StoredSecret:
    """Keep a value under a new id."""
    value = body.value.get_secret_value()
    secret_id = await secrets.create(
        services.pool, services.vault, services.clock, workspace.id, name=body.name, value=value
    )
    return StoredSecret(secret_id=secret_id, name=body.name)


@router.get("/{secret_id}")
async def get_secret(secret_id: str, services: Services, workspace: Caller) -> SecretAnswer:
    """A secret and what uses it."""
    return _answer(await secrets.get(services.pool, workspace.id, secret_id, preview=PREVIEW))


@router.patch("/{secret_id}")
async def update_secret(secret_id: str, body: UpdateSecret, services: Services, workspace: Caller) -> StoredSecret:
    """Replace the name and the value of a secret."""
    await secrets.update(
        services.pool,
        services.vault,
        services.clock,
        workspace.id,
        secret_id,
        name=body.name,
        value=body.value.get_secret_value(),
    )
    return StoredSecret(secret_id=secret_id, name=body.name)


@router.delete("/{secret_id}", status_code=204)
async def delete_secret(secret_id: str, services: Services, workspace: Caller) -> None:
    """Delete a secret that nothing uses."""
    await secrets.delete(services.pool, workspace.id, secret_id)


@router.get("/{secret_id}/dependencies/{resource_type}")
async def get_dependencies(
    secret_id: str,
    resource_type: Literal["tools", "agents", "phone_numbers"],
    services: Services,
    workspace: Caller,
    page_size: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: str | None = None,
) -> DependencyPage:
    """What uses a secret, of one kind: neither tools nor numbers have secrets of their own here."""
    try:
        users, next_cursor = await secrets.list_agents(
            services.pool, workspace.id, secret_id, page_size=page_size, cursor=cursor
        )
    except InvalidCursor as error:
        raise _refused_cursor(error, cursor) from error
    if resource_type != "agents":
        return DependencyPage(dependencies=[], next_cursor=None)
    return DependencyPage(dependencies=[_agent(user) for user in users], next_cursor=next_cursor)


def _answer(secret: Secret) -> SecretAnswer:
    agents = [_agent(user) for user in secret.agents]
    servers = [
        DependentMcpServer(id=user.id, name=user.name, created_at_unix_secs=int(user.created_at.timestamp()))
        for user in secret.mcp_servers
    ]
    used_by = UsedBy(agents=agents, agents_has_more=secret.has_more, mcp_servers=servers)
    return SecretAnswer(secret_id=secret.id, name=secret.name, used_by=used_by)


def _agent(user: User) -> DependentAgentAnswer:
    return DependentAgentAnswer(id=user.id, name=user.name, created_at_unix_secs=int(user.created_at.timestamp()))


def _refused_cursor(error: InvalidCursor, cursor: str | None) -> RequestValidationError:
    return RequestValidationError(
        [{"type": "value_error", "loc": ("query", "cursor"), "msg": error.message, "input": cursor}]
    )
