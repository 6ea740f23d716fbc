"""WhatsApp accounts over HTTP (reference: WhatsApp accounts; the import is its retired call, and takes a token)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field, StringConstraints, model_validator

from greenline.api.deps import AppServices, Caller, Services
from greenline.api.discreet import Discreet
from greenline.channels.whatsapp.account_models import Account, AccountChanges, AccountImport, AccountType
from greenline.channels.whatsapp.accounts import Accounts, get_account, list_accounts

router = APIRouter(prefix="/v1/convai/whatsapp-accounts", tags=["WhatsApp"], route_class=Discreet)

MetaId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,64}$", description="An id of Meta's, as text.")]
Token = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[!-~]+$", max_length=4096),
    Field(description="In visible ASCII characters: it is sent in a header."),
]
PhoneNumberId = Annotated[str, Path(description="Meta's id of the number.")]


class FindingAnswer(BaseModel):
    """Something an operator should know or do about a number."""

    code: str
    message: str


class AccountAnswer(BaseModel):
    """A number. ``findings`` is an addition to the reference."""

    business_account_id: str
    phone_number_id: str
    business_account_name: str
    phone_number_name: str
    phone_number: Annotated[str, Field(description="E.164 with a plus.")]
    account_type: AccountType | None
    assigned_agent_id: str | None
    assigned_agent_name: str | None
    enable_messaging: bool
    enable_audio_message_response: bool
    enable_typing_indicator: bool
    is_token_expired: bool
    findings: list[FindingAnswer]


class AccountList(BaseModel):
    """The numbers of the workspace."""

    items: list[AccountAnswer]


class ImportBody(BaseModel):
    """A number to connect, with the code of an Embedded Signup or a permanent token of a system user."""

    business_account_id: MetaId
    phone_number_id: MetaId
    token_code: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    access_token: Token | None = None
    account_type: AccountType | None = None

    @model_validator(mode="after")
    def _one_secret(self) -> ImportBody:
        if (self.token_code is None) == (self.access_token is None):
            raise ValueError("give either token_code (Embedded Signup) or access_token (a system user's token)")
        return self


class Imported(BaseModel):
    """The number was connected; ``findings`` tells what is missing before it can work."""

    phone_number_id: str
    findings: list[FindingAnswer]


class UpdateBody(BaseModel):
    """Any subset: what is left out stays, ``assigned_agent_id: null`` takes the agent off."""

    assigned_agent_id: str | None = None
    enable_messaging: bool | None = None
    enable_audio_message_response: bool | None = None
    enable_typing_indicator: bool | None = None


@router.get("")
async def list_whatsapp_accounts(
    services: Services,
    workspace: Caller,
    agent_id: Annotated[str | None, Query(description="Only numbers assigned to this agent.")] = None,
) -> AccountList:
    """All numbers of the workspace, oldest first."""
    accounts = await list_accounts(services.pool, workspace.id, agent_id)
    return AccountList(items=[_answer(account) for account in accounts])


@router.post("")
async def import_whatsapp_account(body: ImportBody, services: Services, workspace: Caller) -> Imported:
    """Connect a number, or renew the token of one of the workspace."""
    account = await _accounts(services).import_number(workspace.id, AccountImport(**body.model_dump()))
    return Imported(phone_number_id=account.phone_number_id, findings=_answer(account).findings)


@router.get("/{phone_number_id}")
async def get_whatsapp_account(
    phone_number_id: PhoneNumberId, services: Services, workspace: Caller
) -> AccountAnswer:
    """One number."""
    return _answer(await get_account(services.pool, workspace.id, phone_number_id))


@router.patch("/{phone_number_id}")
async def update_whatsapp_account(
    phone_number_id: PhoneNumberId, body: UpdateBody, services: Services, workspace: Caller
) -> dict[str, Any]:
    """Assign an agent, turn switches."""
    changes = AccountChanges(changes_agent="assigned_agent_id" in body.model_fields_set, **body.model_dump())
    await _accounts(services).update(workspace.id, phone_number_id, changes)
    return {}


@router.delete("/{phone_number_id}")
async def delete_whatsapp_account(
    phone_number_id: PhoneNumberId, services: Services, workspace: Caller
) -> dict[str, Any]:
    """Remove a number; its conversations end and stay."""
    await _accounts(services).delete(workspace.id, phone_number_id)
    return {}


def _accounts(services: AppServices) -> Accounts:
    return Accounts(services.pool, services.graph, services.vault, services.clock, services.settings)


def _answer(account: Account) -> AccountAnswer:
    values = asdict(account)
    return AccountAnswer(**{name: values[name] for name in AccountAnswer.model_fields})
