"""Who may talk to an agent over a socket (reference: Authentication).

| Way | Shown by the client |
|---|---|
| public agent | nothing, where ``auth.enable_auth`` is off |
| allowlist | an ``Origin`` whose host is on ``auth.allowlist``; without one only if it is not required |
| signed URL | ``conversation_signature`` in the query |
| shareable link | the agent's ``auth.shareable_token`` in the same place |
| API key | ``xi-api-key`` or ``Authorization: Bearer`` on the handshake |

Browsers can't set headers: a token in the sub-protocol ``bearer.<token>`` counts as the signature, the share token or
the key that it is. The allowlist guards against other people's web pages, so that it binds everybody but holders of a
key.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers, QueryParams

from greenline.agents.config.access import AuthSettings
from greenline.agents.models import AgentNotFound, AgentVersion, BranchNotFound, VersionNotFound
from greenline.agents.service import get
from greenline.channels.socket.errors import Refused
from greenline.channels.socket.signing import Signature, unseal
from greenline.clock import Clock
from greenline.errors import InvalidApiKey
from greenline.insight.post_call import PostCallWebhook
from greenline.store.pool import Pool
from greenline.store.sql import load_sql
from greenline.store.vault import Vault
from greenline.workspaces.keyring import Keyring
from greenline.workspaces.models import DEFAULT_ID

SQL = load_sql(__package__, "socket.sql")

PROTOCOL: Final = "convai"
BEARER: Final = "bearer."
NO_AGENT: Final = (
    "The query parameter agent_id is missing. Only who shows an API key may bring an agent of their own instead."
)

Method: TypeAlias = Literal["public", "signed_url", "shareable_link", "authorization_header", "livekit_token"]


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client showed when it connected."""

    headers: Headers = field(repr=False)
    query: QueryParams = field(repr=False)
    protocols: Sequence[str] = field(default=(), repr=False)

    def check(self) -> None:
        """Refuse what no id, name or token holds. Raises `greenline.channels.socket.errors.Refused`."""
        if any("\0" in text for pair in self.query.multi_items() for text in pair):
            raise Refused("The query holds a NUL character.")

    @property
    def protocol(self) -> str | None:
        """The sub-protocol to answer with; browsers abort when the one that they asked for does not come back."""
        return PROTOCOL if PROTOCOL in self.protocols else None

    @property
    def bearer(self) -> str | None:
        """The token of the second sub-protocol, or of the ``Authorization`` header."""
        for protocol in self.protocols:
            if protocol.startswith(BEARER):
                return protocol.removeprefix(BEARER)
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token.strip() else None

    @property
    def api_key(self) -> str | None:
        """The key of the header, if one came."""
        return self.headers.get("xi-api-key") or None


@dataclass(frozen=True, slots=True)
class Admission:
    """Who was let in: to which version of which agent, and how. ``conversation_id`` is the reserved one, if any."""

    version: AgentVersion
    workspace_id: str
    method: Method
    environment: str | None = None
    conversation_id: str | None = None
    pinned: bool = False
    """Whether a branch or version was named, so that the client's start data can't choose another."""
    knowledge: tuple[str, ...] = field(default=(), repr=False)
    """What a client that brought the agent has it know besides."""
    webhooks: tuple[PostCallWebhook, ...] = ()
    """Whom such a client wants to be told of the conversation when it is over."""
    brings_all: bool = False
    """Whether it may use nothing that the workspace keeps: it brought the agent, and showed no key."""
    sees_faults: bool = False
    """Whether it may be told where the server failed: it has the key, or got its URL from who has, for that."""


async def workspace_of_agent(pool: Pool, agent_id: str) -> str | None:
    """The workspace that an agent belongs to, for callers that show no key."""
    found: str | None = await pool.fetchval(SQL["workspace_of_agent"], agent_id)
    return found


async def workspace_of_live(pool: Pool, conversation_id: str) -> str | None:
    """The workspace of a conversation that runs on a socket; None for any other."""
    found: str | None = await pool.fetchval(SQL["workspace_of_live"], conversation_id)
    return found


async def workspace_of_talk(pool: Pool, conversation_id: str, ended_after: datetime) -> str | None:
    """The workspace of a conversation that runs on a socket, or did so until lately; None for any other."""
    found: str | None = await pool.fetchval(SQL["workspace_of_talk"], conversation_id, ended_after)
    return found


class Gate:
    """Decides by what is stored."""

    def __init__(self, pool: Pool, keyring: Keyring, vault: Vault, clock: Clock) -> None:
        self._pool = pool
        self._keyring = keyring
        self._vault = vault
        self._clock = clock

    async def admit(self, handshake: Handshake) -> Admission:
        """Let a client in. Raises `greenline.channels.socket.errors.Refused` with what to do instead."""
        handshake.check()
        query = handshake.query
        signature, refusal = self._signature(handshake)
        key_workspace = None
        if signature is None and refusal is None:
            key_workspace, refusal = await self._workspace_of_key(handshake)
        agent_id = query.get("agent_id") or (signature.agent_id if signature else None)
        if not agent_id:
            raise refusal or Refused(NO_AGENT, "missing_fields")
        if signature and signature.agent_id != agent_id:
            raise Refused("The conversation signature belongs to another agent.")
        workspace_id = signature.workspace_id if signature else key_workspace
        if workspace_id is None:
            workspace_id = await workspace_of_agent(self._pool, agent_id)
        wanted = signature or Signature(
            workspace_id or "", agent_id, query.get("branch_id"), query.get("version_id"), query.get("environment")
        )
        version = await self._version(workspace_id, wanted)
        auth = version.platform_settings.auth
        is_shared = refusal is not None and _is_shared(auth, handshake)
        if refusal is not None and not is_shared:
            raise refusal
        check_auth(
            auth,
            handshake.headers.get("origin"),
            has_signature=signature is not None or is_shared,
            has_key=key_workspace is not None,
        )
        if wanted.conversation_id is not None:
            await self._check_unused(version, wanted)
        return Admission(
            version=version,
            workspace_id=workspace_id or "",
            method=_method(signature, key_workspace, is_shared=is_shared),
            environment=wanted.environment or query.get("environment"),
            conversation_id=wanted.conversation_id,
            pinned=bool(wanted.branch_id or wanted.version_id),
            sees_faults=key_workspace is not None or wanted.debug,
        )

    def names_agent(self, handshake: Handshake) -> bool:
        """Whether a client says which agent it wants to talk to."""
        signature, refusal = self._signature(handshake)
        return bool(handshake.query.get("agent_id") or signature or refusal)

    async def owner(self, handshake: Handshake, *, without_key: bool) -> tuple[str, Method]:
        """The workspace for which a client may bring an agent, and how it showed that.

        ``without_key``: whoever comes may, for the default workspace. Raises `Refused`.
        """
        handshake.check()
        workspace_id, refusal = await self._workspace_of_key(handshake)
        if refusal is not None:
            raise refusal
        if workspace_id is not None:
            return workspace_id, "authorization_header"
        if without_key:
            return DEFAULT_ID, "public"
        raise Refused(NO_AGENT, "missing_fields")

    def _signature(self, handshake: Handshake) -> tuple[Signature | None, Refused | None]:
        """The signature that was shown, or why what should be one is none."""
        token = handshake.query.get("conversation_signature")
        bearer = handshake.bearer if handshake.api_key is None else None
        if not token and bearer is None:
            return None, None
        try:
            return unseal(self._vault, self._clock, token or bearer or ""), None
        except Refused as refusal:
            return None, refusal if token else None  # a bearer may be a key

    async def _workspace_of_key(self, handshake: Handshake) -> tuple[str | None, Refused | None]:
        """The workspace of the key that was shown, or why what should be one is none."""
        key = handshake.api_key or handshake.bearer
        if key is None:
            return None, None
        try:
            return (await self._keyring.authenticate(key)).id, None
        except InvalidApiKey as error:
            return None, Refused(error.message)

    async def _version(self, workspace_id: str | None, wanted: Signature) -> AgentVersion:
        missing = f"There is no agent with the id {wanted.agent_id[:60]}, or it belongs to another workspace."
        if workspace_id is None:
            raise Refused(missing)
        try:
            agent = await get(
                self._pool,
                workspace_id,
                wanted.agent_id,
                branch_id=wanted.branch_id or None,
                version_id=wanted.version_id or None,
            )
        except AgentNotFound:
            raise Refused(missing) from None
        except (BranchNotFound, VersionNotFound) as error:
            raise Refused(error.message) from None
        return agent.version

    async def _check_unused(self, version: AgentVersion, wanted: Signature) -> None:
        if await self._pool.fetchval(SQL["conversation_exists"], wanted.workspace_id, wanted.conversation_id):
            raise used_already()


def used_already() -> Refused:
    """The refusal of a URL that begins one conversation."""
    return Refused("The signed URL was used already: one with a conversation id works once.")


def _is_shared(auth: AuthSettings, handshake: Handshake) -> bool:
    """Whether what was shown for a signature or a key is the token under which the agent is shared."""
    shown = handshake.query.get("conversation_signature") or handshake.bearer
    return bool(auth.shareable_token and shown) and secrets.compare_digest(
        str(shown).encode(), str(auth.shareable_token).encode()
    )


def _method(signature: Signature | None, key_workspace: str | None, *, is_shared: bool) -> Method:
    if signature is not None:
        return "signed_url"
    if is_shared:
        return "shareable_link"
    return "authorization_header" if key_workspace else "public"


def check_auth(auth: AuthSettings, origin: str | None, *, has_signature: bool, has_key: bool) -> None:
    """Apply the agent's rules. Raises `greenline.channels.socket.errors.Refused`."""
    if has_key:
        return
    if auth.enable_auth and not has_signature:
        raise Refused("This agent needs authorization: connect by a signed URL, a share token or with an API key.")
    if not auth.allowlist:
        return
    if origin is None:
        if auth.require_origin_header:
            raise Refused("This agent needs an Origin header.")
        return
    if not _hosts(origin) & {item.hostname.strip().lower() for item in auth.allowlist}:
        raise Refused(f"The origin {origin[:60]} is not on the allowlist of this agent.")


def _hosts(origin: str) -> set[str]:
    """The host that an origin names, with and without its port."""
    try:
        parts = urlsplit(origin.strip().lower())
    except ValueError:
        return set()
    return {host for host in (parts.netloc, parts.hostname) if host}
