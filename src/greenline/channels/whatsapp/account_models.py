"""A WhatsApp account: one number, with its token and its agent (reference: WhatsApp accounts)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from greenline.channels.whatsapp.account_findings import Finding
from greenline.channels.whatsapp.graph_errors import GraphError, Outcome
from greenline.errors import BadRequest, Conflict, GreenlineError, NotFound, Unavailable

AccountType: TypeAlias = Literal["cloud_api", "coexistence"]


@dataclass(frozen=True, slots=True)
class Account:
    """A number as the API shows it. ``sealed_token`` is opened by the vault with the number's id as context."""

    workspace_id: str
    phone_number_id: str
    business_account_id: str
    business_account_name: str
    phone_number_name: str
    phone_number: str
    account_type: AccountType | None
    assigned_agent_id: str | None
    assigned_agent_name: str | None
    enable_messaging: bool
    enable_audio_message_response: bool
    enable_typing_indicator: bool
    is_token_expired: bool
    findings: tuple[Finding, ...]
    sealed_token: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccountImport:
    """What an import needs: a permanent token, or the code of an Embedded Signup.

    Without an ``account_type`` a number keeps its own; a new one is ``cloud_api``.
    """

    business_account_id: str
    phone_number_id: str
    access_token: str | None = field(default=None, repr=False)
    token_code: str | None = field(default=None, repr=False)
    account_type: AccountType | None = None


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """What a PATCH carries: a switch that is None stays; the agent changes only if ``changes_agent``."""

    changes_agent: bool = False
    assigned_agent_id: str | None = None
    enable_messaging: bool | None = None
    enable_audio_message_response: bool | None = None
    enable_typing_indicator: bool | None = None


class AccountNotFound(NotFound):
    """No WhatsApp account with this phone number id is in the workspace of the API key."""

    code = "whatsapp_account_not_found"


class NumberTaken(Conflict):
    """The number is in another workspace of this server. Delete it there first."""

    code = "whatsapp_number_taken"


class NumberOfAnotherAccount(BadRequest):
    """The business account has no such number, or the token may not see it. Compare both ids in WhatsApp Manager."""

    code = "whatsapp_number_not_in_business_account"


class TokenExpired(BadRequest):
    """The access token of the number expired or was revoked. Import the number again."""

    code = "whatsapp_token_expired"


class MetaRefused(BadRequest):
    """Meta refused the request."""

    code = "whatsapp_api_error"


class MetaUnavailable(Unavailable):
    """Meta could not be asked. Try again in a moment."""

    code = "whatsapp_api_unavailable"


def from_meta(error: GraphError) -> GreenlineError:
    """The error for the caller: `MetaRefused` or `MetaUnavailable`, with Meta's code and what one can do."""
    extra: dict[str, Any] = {"meta_code": error.code} if error.code is not None else {}
    if error.outcome is not Outcome.PERMANENT:
        return MetaUnavailable(f"{MetaUnavailable().message} {_sentence(error)}", **extra)
    advice = f" {error.advice}" if error.advice else ""
    return MetaRefused(f"Meta's answer: {_sentence(error)}{advice}", **extra)


def _sentence(error: GraphError) -> str:
    """Meta ends some of its texts with a full stop."""
    return f"{str(error).rstrip('.')}."
