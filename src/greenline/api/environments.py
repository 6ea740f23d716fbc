"""Environments and environment variables over HTTP (reference: Environment variables)."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from greenline.api.deps import Caller, Services
from greenline.store.cursor import InvalidCursor
from greenline.workspaces import environments
from greenline.workspaces.environments import Environment, Variable, VariableType

router = APIRouter(prefix="/v1/convai", tags=["Environments"])

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$", max_length=100)]


class SecretValue(BaseModel):
    """The secret that a variable stands for."""

    secret_id: str


class ConnectionValue(BaseModel):
    """The auth connection that a variable stands for."""

    auth_connection_id: str


Value: TypeAlias = str | SecretValue | ConnectionValue


class CreateVariable(BaseModel):
    """A new variable; ``values`` by environment, with one for production."""

    type: VariableType = "string"
    label: Label
    values: dict[str, Value]


class UpdateVariable(BaseModel):
    """Values that change; null removes one, but never that of production."""

    values: dict[str, Value | None]


class VariableAnswer(BaseModel):
    """A variable (SDK: EnvironmentVariableResponse)."""

    id: str
    workspace_id: str
    label: str
    type: VariableType
    values: dict[str, Any]
    created_at_unix_secs: int
    updated_at_unix_secs: int
    created_by_user_id: str | None


class VariablePage(BaseModel):
    """A page of the list."""

    environment_variables: list[VariableAnswer]
    next_cursor: str | None
    has_more: bool


class CreateEnvironment(BaseModel):
    """The name of a new environment: letters, digits, underscores, hyphens."""

    name: str


class EnvironmentAnswer(BaseModel):
    """An environment (SDK: EnvironmentResponse)."""

    name: str
    updated_at_unix_secs: int | None
    created_by_user_id: str | None


class EnvironmentList(BaseModel):
    """All environments, production first."""

    environments: list[EnvironmentAnswer]


@router.get("/environment-variables")
async def list_variables(
    services: Services,
    workspace: Caller,
    label: Annotated[str | None, Query(description="The whole label.")] = None,
    environment: Annotated[str | None, Query(description="Only variables and values of this one.")] = None,
    type: Annotated[VariableType | None, Query()] = None,  # noqa: A002 - the reference's name
    page_size: Annotated[int, Query(ge=1, le=100)] = 100,
    cursor: str | None = None,
) -> VariablePage:
    """A page of the workspace's variables, the newest first."""
    try:
        found, next_cursor = await environments.list_variables(
            services.pool,
            workspace.id,
            label=label,
            environment=environment,
            kind=type,
            page_size=page_size,
            cursor=cursor,
        )
    except InvalidCursor as error:
        refused = {"type": "value_error", "loc": ("query", "cursor"), "msg": error.message, "input": cursor}
        raise RequestValidationError([refused]) from error
    return VariablePage(
        environment_variables=[_variable(variable, workspace.id) for variable in found],
        next_cursor=next_cursor,
        has_more=next_cursor is not None,
    )


@router.post("/environment-variables")
async def create_variable(body: CreateVariable, services: Services, workspace: Caller) -> VariableAnswer:
    """Create a variable. Environments that its values name and that are not there begin to exist."""
    made = await environments.create_variable(
        services.pool,
        services.clock,
        workspace.id,
        label=body.label,
        kind=body.type,
        values=body.model_dump()["values"],
    )
    return _variable(made, workspace.id)


@router.get("/environment-variables/{env_var_id}")
async def get_variable(env_var_id: str, services: Services, workspace: Caller) -> VariableAnswer:
    """A variable with its values."""
    return _variable(await environments.get_variable(services.pool, workspace.id, env_var_id), workspace.id)


@router.patch("/environment-variables/{env_var_id}")
async def update_variable(
    env_var_id: str, body: UpdateVariable, services: Services, workspace: Caller
) -> VariableAnswer:
    """Change values of a variable; the others stay."""
    changes = body.model_dump()["values"]
    changed = await environments.update_variable(services.pool, services.clock, workspace.id, env_var_id, changes)
    return _variable(changed, workspace.id)


@router.delete("/environment-variables/{env_var_id}", status_code=204)
async def delete_variable(env_var_id: str, services: Services, workspace: Caller) -> None:
    """Delete a variable that no MCP server or setting uses. Agents that still use it fail when they need it."""
    await environments.delete_variable(services.pool, workspace.id, env_var_id)


@router.get("/environments")
async def list_environments(services: Services, workspace: Caller) -> EnvironmentList:
    """All environments of the workspace."""
    found = await environments.list_environments(services.pool, workspace.id)
    return EnvironmentList(environments=[_environment(environment) for environment in found])


@router.post("/environments")
async def create_environment(body: CreateEnvironment, services: Services, workspace: Caller) -> EnvironmentAnswer:
    """Create an environment."""
    return _environment(await environments.create_environment(services.pool, services.clock, workspace.id, body.name))


@router.delete("/environments/{environment}", status_code=204)
async def delete_environment(environment: str, services: Services, workspace: Caller) -> None:
    """Delete an environment with the values that variables have in it."""
    await environments.delete_environment(services.pool, services.clock, workspace.id, environment)


def _variable(variable: Variable, workspace_id: str) -> VariableAnswer:
    return VariableAnswer(
        id=variable.id,
        workspace_id=workspace_id,
        label=variable.label,
        type=variable.type,
        values=dict(variable.values),
        created_at_unix_secs=int(variable.created_at.timestamp()),
        updated_at_unix_secs=int(variable.updated_at.timestamp()),
        created_by_user_id=variable.created_by,
    )


def _environment(environment: Environment) -> EnvironmentAnswer:
    changed = environment.updated_at
    return EnvironmentAnswer(
        name=environment.name,
        updated_at_unix_secs=None if changed is None else int(changed.timestamp()),
        created_by_user_id=environment.created_by,
    )
