"""Environments and environment variables as a user of the official SDK meets them."""

from __future__ import annotations

import elevenlabs.types as sdk
import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.environment_variables.types.environment_variables_create_request_body import (
    EnvironmentVariablesCreateRequestBody_Secret as SecretVariable,
)
from elevenlabs.environment_variables.types.environment_variables_create_request_body import (
    EnvironmentVariablesCreateRequestBody_String as StringVariable,
)
from elevenlabs.errors import BadRequestError, ConflictError, NotFoundError, UnprocessableEntityError

from support.shapes import assert_complete

VARIABLES = "/v1/convai/environment-variables"


async def test_a_variable_lives(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    variables = client.environment_variables
    made = await variables.create(request=StringVariable(label="host", values={"production": "a", "staging": "b"}))
    assert (made.type, made.label, made.values) == ("string", "host", {"production": "a", "staging": "b"})

    assert (await variables.update(made.id, values={"staging": None, "qa": "c"})).values == {
        "production": "a",
        "qa": "c",
    }
    assert (await variables.get(made.id)).label == "host"
    page = await variables.list(environment="qa", type="string", label="host")
    assert ([variable.values for variable in page.environment_variables], page.has_more) == ([{"qa": "c"}], False)
    assert_complete(sdk.EnvironmentVariablesListResponse, (await http.get(VARIABLES)).json())
    assert_complete(sdk.EnvironmentVariableResponse, (await http.get(f"{VARIABLES}/{made.id}")).json())

    await variables.delete(made.id)
    with pytest.raises(NotFoundError):
        await variables.get(made.id)


async def test_a_variable_may_stand_for_a_secret(client: AsyncElevenLabs) -> None:
    secret_id = (await client.conversational_ai.secrets.create(name="k", value="v")).secret_id
    value = sdk.EnvironmentVariableSecretValueRequest(secret_id=secret_id)

    made = await client.environment_variables.create(request=SecretVariable(label="k", values={"production": value}))

    assert (await client.environment_variables.get(made.id)).values == {"production": {"secret_id": secret_id}}


async def test_environments_live(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    environments = client.environments
    assert [found.name for found in (await environments.list()).environments] == ["production"]

    assert (await environments.create(name="staging")).name == "staging"
    listed = await http.get("/v1/convai/environments")
    assert_complete(sdk.EnvironmentsListResponse, listed.json())
    assert [found["name"] for found in listed.json()["environments"]] == ["production", "staging"]
    with pytest.raises(ConflictError):
        await environments.create(name="staging")
    await environments.delete("staging")
    with pytest.raises(NotFoundError):
        await environments.delete("staging")
    with pytest.raises(BadRequestError):
        await environments.delete("production")


async def test_what_does_not_fit_is_refused(client: AsyncElevenLabs) -> None:
    variables = client.environment_variables
    await variables.create(request=StringVariable(label="host", values={"production": "a"}))

    with pytest.raises(ConflictError):
        await variables.create(request=StringVariable(label="host", values={"production": "b"}))
    with pytest.raises(BadRequestError):
        await variables.create(request=StringVariable(label="other", values={"staging": "b"}))
    with pytest.raises(UnprocessableEntityError):
        await variables.create(request=StringVariable(label="no space", values={"production": "b"}))
    with pytest.raises(UnprocessableEntityError):
        await variables.list(cursor="nonsense")
