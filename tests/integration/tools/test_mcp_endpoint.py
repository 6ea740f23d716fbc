"""Where a server is reached: locators filled in, and secrets known as such."""

from __future__ import annotations

from typing import Any

import pytest

from greenline.agents.lookup import Lookup, ValueUnavailable, seal_secrets
from greenline.clock import ManualClock
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.tools.mcp.endpoint import endpoint_of, meta_of
from greenline.tools.mcp.models import McpServerConfig
from greenline.workspaces import secrets
from support.rows import WORKSPACE, insert_workspace

URL = "https://tools.example.com/mcp"


@pytest.fixture
async def lookup(pool: Pool, clock: ManualClock) -> Lookup:
    vault = Vault(bytes(32))
    await insert_workspace(pool, clock.now())
    sealed = seal_secrets(vault, "conv_1", {"secret__pin": "pin-4711"})
    return Lookup(pool, vault, WORKSPACE, "conv_1", {"customer": "c7", "number": 7}, sealed)


async def secret(lookup: Lookup, clock: ManualClock, value: str) -> dict[str, str]:
    made = await secrets.create(lookup.pool, lookup.vault, clock, WORKSPACE, name="k", value=value)
    return {"secret_id": made}


def config(**more: Any) -> McpServerConfig:
    return McpServerConfig.model_validate({"name": "Shop", "url": URL, **more})


async def test_headers_are_filled_in(lookup: Lookup, clock: ManualClock) -> None:
    token = await secret(lookup, clock, "tok-en")
    headers = {
        "X-Plain": "{{customer}}",
        "X-Customer": {"variable_name": "customer"},
        "X-Pin": {"variable_name": "secret__pin"},
    }
    found = await endpoint_of(config(secret_token=token, request_headers=headers), lookup)
    assert (found.transport, found.url) == ("SSE", URL)
    assert dict(found.headers) == {
        "X-Plain": "{{customer}}",
        "X-Customer": "c7",
        "X-Pin": "pin-4711",
        "Authorization": "Bearer tok-en",
    }
    assert found.masked("c7 tok-en pin-4711") == "c7 *** ***"
    for value in ("tok-en", "pin-4711"):
        assert value not in repr(found)


async def test_a_token_may_bring_its_scheme(lookup: Lookup, clock: ManualClock) -> None:
    token = await secret(lookup, clock, "Basic dXNlcg==")
    assert dict((await endpoint_of(config(secret_token=token), lookup)).headers) == {
        "Authorization": "Basic dXNlcg=="
    }


async def test_a_secret_is_masked_however_it_is_repeated(lookup: Lookup, clock: ManualClock) -> None:
    headers = {
        "X-Key": await secret(lookup, clock, "Token of-a-header"),
        "X-Pin": {"variable_name": "secret__pin"},
    }
    token = {
        "secret_id": await secrets.create(
            lookup.pool, lookup.vault, clock, WORKSPACE, name="t", value="Basic dXNlcg==\n"
        )
    }
    found = await endpoint_of(config(secret_token=token, request_headers=headers), lookup)
    for repeated in ("Bad key: Basic dXNlcg==.", "Bad key: dXNlcg==.", "Bad key: of-a-header.", "Bad key: pin-4711."):
        assert found.masked(repeated) == "Bad key: ***."


async def test_an_address_may_be_a_secret(lookup: Lookup, clock: ManualClock) -> None:
    address = await secret(lookup, clock, "https://tools.example.com/key-1234/mcp")
    found = await endpoint_of(config(url=address), lookup)
    assert found.url == "https://tools.example.com/key-1234/mcp"
    assert found.discreet("tools.example.com leads to 10.0.0.1 (key-1234/mcp)") == "*** leads to 10.0.0.1 (***)"


async def test_meta_is_filled_in(lookup: Lookup, clock: ManualClock) -> None:
    meta = {"plain": "a", "number": 1, "flag": True, "key": await secret(lookup, clock, "meta-key")}
    meta["customer"] = {"variable_name": "customer"}
    wanted = config(request_meta=meta)
    found, endpoint = await meta_of(wanted, await endpoint_of(wanted, lookup), lookup)
    assert found == {"plain": "a", "number": 1, "flag": True, "key": "meta-key", "customer": "c7"}
    assert endpoint.masked("a meta-key c7") == "a *** c7"


async def test_what_is_not_there_is_named(lookup: Lookup) -> None:
    for wanted, place in (
        (config(request_headers={"X-Who": {"variable_name": "who"}}), "request_headers.X-Who"),
        (config(url="https://{{system__env_shop}}/mcp"), "url"),
        (config(auth_connection={"auth_connection_id": "a"}), "auth_connection"),
    ):
        with pytest.raises(ValueUnavailable) as caught:
            await endpoint_of(wanted, lookup)
        assert place in caught.value.message
