"""Start data from a webhook of the business, asked for when a conversation begins (reference: initiation webhook).

A webhook that does not answer, or not in the form asked for, stops no conversation by itself: it goes on without
start data, and fails only where the agent needs a variable that nobody has brought. The journal tells of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import httpx2
import orjson
import structlog
from pydantic import ValidationError

from greenline.agents.config.locators import HeaderValue
from greenline.agents.config.workspace_overrides import InitiationWebhook
from greenline.agents.initiation import InitiationData
from greenline.agents.lookup import Lookup, ValueUnavailable
from greenline.agents.models import AgentVersion
from greenline.agents.workspace_settings import read_settings
from greenline.conversations.events import Noted
from greenline.conversations.start_data import start_data_note
from greenline.json_body import RefusedBody, check_json
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.text import clean_text
from greenline.tools.guard import guarded_client

log = structlog.get_logger(__name__)

MAX_BYTES: Final = 256 * 1024  # reference: the largest answer
_FAULTS: Final = 5
"""So many faults of an answer are told: the rest is rarely of another kind."""
_ERROR_LENGTH: Final = 500
_URL: Final = "url"
_HEADERS: Final = "request_headers."


@dataclass(frozen=True, slots=True)
class NewConversation:
    """The conversation that is to begin, and between whom, as the reference names them."""

    version: AgentVersion
    workspace_id: str
    conversation_id: str
    caller_id: str = field(repr=False)
    called_number: str = field(repr=False)

    def body(self) -> bytes:
        """What the webhook is told."""
        return orjson.dumps(
            {
                "caller_id": self.caller_id,
                "called_number": self.called_number,
                "agent_id": self.version.agent_id,
                "call_sid": "",
                "conversation_id": self.conversation_id,
            }
        )


@dataclass(frozen=True, slots=True)
class Brought:
    """The start data, and what the journal is to tell of it. Neither where no webhook was to be asked."""

    data: InitiationData = field(default_factory=InitiationData, repr=False)
    notes: tuple[Noted, ...] = ()


class _NothingBrought(Exception):
    """The webhook brought no start data; the text says why."""


class StartData:
    """Asks the webhook of an agent, or of its workspace."""

    def __init__(self, pool: Pool, vault: Vault, settings: Settings) -> None:
        self._pool = pool
        self._vault = vault
        self._settings = settings

    async def ask(self, new: NewConversation) -> Brought:
        """What the webhook brings, if the agent is to have start data from one."""
        webhook = await self._webhook(new)
        if webhook is None:
            return Brought()
        loop = asyncio.get_running_loop()
        asked_at, data, error = loop.time(), InitiationData(), ""
        try:
            data = _read(await self._post(webhook, new))
        except (_NothingBrought, ValueUnavailable) as failure:
            error = str(failure)
            log.warning("initiation_webhook.failed", conversation_id=new.conversation_id, error=error)
        return Brought(data, (start_data_note(loop.time() - asked_at, error),))

    async def _webhook(self, new: NewConversation) -> InitiationWebhook | None:
        """The agent's own wins over that of the workspace (reference: ``workspace_overrides``)."""
        platform = new.version.platform_settings
        if not platform.overrides.enable_conversation_initiation_client_data_from_webhook:
            return None
        own = platform.workspace_overrides.conversation_initiation_client_data_webhook
        if own is not None:
            return own
        return (await read_settings(self._pool, new.workspace_id)).conversation_initiation_client_data_webhook

    async def _post(self, webhook: InitiationWebhook, new: NewConversation) -> httpx2.Response:
        lookup = Lookup(
            pool=self._pool,
            vault=self._vault,
            workspace_id=new.workspace_id,
            conversation_id=new.conversation_id,
            variables={},
        )
        named: dict[str, HeaderValue] = {_HEADERS + name: value for name, value in webhook.request_headers.items()}
        texts = await lookup.texts({**named, _URL: webhook.url})
        given = {name: texts[_HEADERS + name] for name in webhook.request_headers}
        seconds = self._settings.initiation_webhook_seconds
        # A client of its own: a conversation begins seldom, next to what is said in it.
        async with guarded_client(
            self._settings, seconds=seconds, max_bytes=MAX_BYTES, whole_seconds=seconds
        ) as client:
            try:
                headers = httpx2.Headers(given)
                headers.setdefault("Content-Type", "application/json")
                return await client.post(texts[_URL], content=new.body(), headers=headers)
            except (httpx2.ConnectError, httpx2.ReadError, httpx2.TimeoutException) as error:
                raise _NothingBrought(str(error) or type(error).__name__) from error
            except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:  # its text may repeat a secret header
                raise _NothingBrought(f"The request could not be made: {type(error).__name__}") from None


def _read(response: httpx2.Response) -> InitiationData:
    """Raises `_NothingBrought`. What it says repeats no value of the answer, which may be secret."""
    if response.status_code != 200:
        raise _NothingBrought(f"The webhook answered with the status {response.status_code} in place of 200.")
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError as error:
        raise _NothingBrought("The webhook's answer is no JSON.") from error
    if not isinstance(answer, dict):
        raise _NothingBrought("The webhook's answer is no JSON object.")
    try:
        check_json(response.content)  # it is kept in the journal, as the bodies of the API are
    except RefusedBody as refusal:
        raise _NothingBrought(f"The webhook's answer can't be kept. {refusal}.") from refusal
    given = {name: value for name, value in answer.items() if value is not None and name != "type"}
    try:
        return InitiationData.model_validate(given)
    except ValidationError as error:
        raise _NothingBrought(f"The webhook's answer is no start data. {_faults(error)}") from error


def _faults(error: ValidationError) -> str:
    """The first faults, each by its place. Names in the answer are as long as their author likes: they are cut."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[:_FAULTS]
    told = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in first)
    return clean_text(told)[:_ERROR_LENGTH]
