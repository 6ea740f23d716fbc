"""The token under which an agent is shared opens this agent, and no other."""

import pytest
from starlette.datastructures import Headers, QueryParams

from greenline.agents import service as agents
from greenline.agents.config import PlatformSettings
from greenline.agents.models import AgentChanges, AgentDefinition
from greenline.channels.socket.access import Gate, Handshake
from greenline.channels.socket.errors import Refused
from greenline.clock import ManualClock
from greenline.store.pool import Pool
from greenline.store.vault import KEY_BYTES, Vault
from greenline.workspaces.keyring import Keyring
from support.rows import WORKSPACE, insert_workspace

TOKEN = "tok-3f9a"
CLOSED = {"enable_auth": True, "shareable_token": TOKEN}


@pytest.fixture
async def gate(pool: Pool, clock: ManualClock) -> Gate:
    await insert_workspace(pool, clock.now())
    return Gate(pool, Keyring(pool, clock), Vault(bytes(KEY_BYTES)), clock)


async def agent(pool: Pool, clock: ManualClock, **auth: object) -> str:
    settings = PlatformSettings.model_validate({"auth": auth})
    return await agents.create(pool, clock, WORKSPACE, AgentDefinition(platform_settings=settings))


def shown(agent_id: str, token: str | None = None, bearer: str | None = None, **headers: str) -> Handshake:
    query = {"agent_id": agent_id, **({"conversation_signature": token} if token else {})}
    return Handshake(Headers(headers), QueryParams(query), [f"bearer.{bearer}"] if bearer else [])


async def test_it_opens_its_agent_until_there_is_another(gate: Gate, pool: Pool, clock: ManualClock) -> None:
    agent_id = await agent(pool, clock, **CLOSED)
    for handshake in (shown(agent_id, TOKEN), shown(agent_id, bearer=TOKEN)):
        admission = await gate.admit(handshake)
        assert (admission.method, admission.version.agent_id) == ("shareable_link", agent_id)

    changed = AgentChanges(platform_settings={"auth": {"shareable_token": "another"}})
    await agents.update(pool, clock, WORKSPACE, agent_id, changed)
    with pytest.raises(Refused, match="not valid"):
        await gate.admit(shown(agent_id, TOKEN))
    with pytest.raises(Refused, match="API key"):
        await gate.admit(shown(agent_id, bearer=TOKEN))


async def test_it_opens_no_other_agent(gate: Gate, pool: Pool, clock: ManualClock) -> None:
    other = await agent(pool, clock, enable_auth=True)
    public = await agent(pool, clock)
    for agent_id in (other, public):
        with pytest.raises(Refused):
            await gate.admit(shown(agent_id, TOKEN))
    assert (await gate.admit(shown(public))).method == "public"


async def test_the_allowlist_binds_who_has_it(gate: Gate, pool: Pool, clock: ManualClock) -> None:
    agent_id = await agent(pool, clock, **CLOSED, allowlist=[{"hostname": "shop.example"}])
    assert (await gate.admit(shown(agent_id, TOKEN, origin="https://shop.example"))).method == "shareable_link"
    with pytest.raises(Refused, match="allowlist"):
        await gate.admit(shown(agent_id, TOKEN, origin="https://elsewhere.example"))
