"""Clients that bring the agent of their conversation (reference: ``enclave_setup_config``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import ValidationError

from greenline.agents.brought import bring, read_definition, read_tools
from greenline.agents.models import AgentVersion
from greenline.channels.socket.access import NO_AGENT, Admission, Gate, Handshake
from greenline.channels.socket.client_messages import EnclaveSetup
from greenline.channels.socket.errors import CONTRACT, Refused, SocketClosed
from greenline.channels.socket.refusals import refusal
from greenline.channels.socket.wire import Wire
from greenline.clock import Clock
from greenline.errors import GreenlineError
from greenline.insight.post_call import Kind, PostCallWebhook
from greenline.settings import Settings
from greenline.store.pool import Pool

_KINDS: Final[tuple[Kind, ...]] = ("transcription", "audio")


class Enclave:
    """Lets clients in that name no agent. Who shows an API key may bring one, and by a setting everybody may.

    Such a client can have the server do what the holder of a key can: use its models, and send requests to the
    public internet.
    """

    def __init__(self, pool: Pool, gate: Gate, clock: Clock, settings: Settings) -> None:
        self._pool = pool
        self._gate = gate
        self._clock = clock
        self._without_key = settings.enclave_setup

    async def admit(self, handshake: Handshake, wire: Wire) -> Admission:
        """Let a client in, to the agent that its first message brings.

        Raises `greenline.channels.socket.errors.SocketClosed`, and as `Wire.receive` does.
        """
        workspace_id, method = await self._gate.owner(handshake, without_key=self._without_key)
        setup = await wire.setup()
        if setup is None:
            raise Refused(NO_AGENT, "missing_fields")
        return Admission(
            version=await self._version(workspace_id, setup),
            workspace_id=workspace_id,
            method=method,
            environment=handshake.query.get("environment"),
            pinned=True,
            knowledge=tuple(setup.prompt_knowledge_base or ()),
            webhooks=tuple(_webhooks(setup)),
            sees_faults=method == "authorization_header",
        )

    async def _version(self, workspace_id: str, setup: EnclaveSetup) -> AgentVersion:
        try:
            tools = read_tools(setup.tools_config_list or ())
        except ValidationError as error:
            raise _misfit("tools_config_list", error) from error
        try:
            name, definition = read_definition(
                setup.agent_config_dict or {}, setup.override_agent_config_list or (), tools
            )
            return await bring(self._pool, self._clock, workspace_id, name, definition)
        except ValidationError as error:
            raise _misfit("agent_config_dict", error) from error
        except GreenlineError as error:
            raise refusal(error) from error


def _webhooks(setup: EnclaveSetup) -> Iterator[PostCallWebhook]:
    for kind in _KINDS:
        webhook = setup.webhook(kind)
        if webhook is not None:
            yield PostCallWebhook(kind, webhook.url, webhook.hmac_secret)


def _misfit(field: str, error: ValidationError) -> SocketClosed:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, (field, *first["loc"])))
    return SocketClosed(CONTRACT, "invalid_message", f"enclave_setup_config: {place}: {first['msg']}.")
