"""Clients that bring the agent of their conversation (reference: ``enclave_setup_config``)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

import orjson
from pydantic import ValidationError

from greenline.agents.brought import Brought, bring, check_brings_all, read_agent, read_tools
from greenline.channels.live.sessions import unless_away
from greenline.channels.socket.access import Admission, Gate, Handshake
from greenline.channels.socket.client_messages import EnclaveSetup
from greenline.channels.socket.errors import CONTRACT, Refused, SocketClosed
from greenline.channels.socket.wire import Wire
from greenline.clock import Clock
from greenline.insight.post_call import Kind, PostCallWebhook
from greenline.store.pool import Pool

NONE_BROUGHT: Final = "The query parameter agent_id is missing, and the first message brings no agent instead."

_KINDS: Final[tuple[Kind, ...]] = ("transcription", "audio")


class Enclave:
    """Lets clients in that name no agent. Who shows an API key may bring one, and by a setting everybody may.

    Without a key, too, a client can have the server use its models and send requests to the public internet. What the
    workspace keeps is for those with a key: else anybody could have its secrets sent to an address of their own.
    """

    def __init__(self, pool: Pool, gate: Gate, clock: Clock, *, without_key: bool, patience: float) -> None:
        """``patience``: seconds for which clients wait while the database is away."""
        self._pool = pool
        self._gate = gate
        self._clock = clock
        self._without_key = without_key
        self._patience = patience

    async def admit(self, handshake: Handshake, wire: Wire) -> Admission:
        """Let a client in, to the agent that its first message brings.

        Raises `greenline.channels.socket.errors.SocketClosed`, `greenline.errors.GreenlineError` for an agent that
        can't be kept, and as `Wire.receive` does.
        """
        workspace_id, method = await unless_away(
            lambda: self._gate.owner(handshake, without_key=self._without_key), self._patience
        )
        setup = await wire.setup()
        if setup is None:
            raise Refused(NONE_BROUGHT, "missing_fields")
        has_key = method == "authorization_header"
        brought = await asyncio.to_thread(_read, setup, has_key=has_key)
        try:
            version = await unless_away(lambda: bring(self._pool, self._clock, workspace_id, brought), self._patience)
        except ValidationError as error:  # a rule between the fields of a whole agent
            raise _misfit("agent_config_dict", error) from error
        return Admission(
            version=version,
            workspace_id=workspace_id,
            method=method,
            environment=handshake.query.get("environment"),
            pinned=True,
            knowledge=tuple(setup.prompt_knowledge_base or ()),
            webhooks=tuple(_webhooks(setup)),
            brings_all=not has_key,
            sees_faults=has_key,
        )


def _read(setup: EnclaveSetup, *, has_key: bool) -> Brought:
    """The agent of a setup. In a thread of its own: nobody else waits for a large one."""
    try:
        tools = read_tools(setup.tools_config_list or ())
    except ValidationError as error:
        raise _misfit("tools_config_list", error) from error
    try:
        brought = read_agent(setup.agent_config_dict or {}, setup.override_agent_config_list or (), tools)
    except ValidationError as error:
        raise _misfit("agent_config_dict", error) from error
    if not has_key:
        check_brings_all(orjson.loads(brought.written))
    return brought


def _webhooks(setup: EnclaveSetup) -> Iterator[PostCallWebhook]:
    for kind in _KINDS:
        webhook = setup.webhook(kind)
        if webhook is not None:
            yield PostCallWebhook(kind, webhook.url, webhook.hmac_secret)


def _misfit(field: str, error: ValidationError) -> SocketClosed:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, (field, *first["loc"])))
    return SocketClosed(CONTRACT, "invalid_message", f"enclave_setup_config: {place}: {first['msg']}.")
