"""Handing a call to a telephone number or a SIP address."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from greenline.agents.config.base import ConfigModel


class SipHeader(ConfigModel):
    """A header for the transfer; ``value`` of a dynamic one is the name of a variable."""

    type: Literal["dynamic", "static"]
    key: str
    value: str


class PostDialDigits(ConfigModel):
    """Digits that are pressed once the other side answered."""

    type: Literal["dynamic", "static"]
    value: str


class UuiTransfer(ConfigModel):
    """User-to-user information (RFC 7433) that goes with a transfer."""

    data: str
    protocol_discriminator: str | None = None
    protocol_discriminator_mode: Literal["prefix", "pd_parameter"] | None = None


class PhoneDestination(ConfigModel):
    """A telephone number, or the variable that holds it."""

    type: Literal["phone", "phone_dynamic_variable"]
    phone_number: str


class SipDestination(ConfigModel):
    """A SIP address, or the variable that holds it."""

    type: Literal["sip_uri", "sip_uri_dynamic_variable"]
    sip_uri: str


TransferDestination: TypeAlias = Annotated[PhoneDestination | SipDestination, Field(discriminator="type")]
TransferType: TypeAlias = Literal["blind", "conference", "sip_refer"]


class NumberTransfer(ConfigModel):
    """Where a call is handed to, and how."""

    custom_sip_headers: list[SipHeader] = []
    transfer_destination: TransferDestination
    transfer_type: TransferType = "conference"
    sip_refer_play_dialtone: bool = False
    uui: UuiTransfer | None = None
    post_dial_digits: PostDialDigits | None = None


class PhoneNumberTransfer(NumberTransfer):
    """One place to which the model may transfer a call, and the condition that it reads.

    Older clients name the place by ``phone_number``; it is given back as a destination too.
    """

    phone_number: str | None = None
    condition: str

    @model_validator(mode="before")
    @classmethod
    def _destination_of_older_clients(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("phone_number") and not data.get("transfer_destination"):
            return {**data, "transfer_destination": {"type": "phone", "phone_number": data["phone_number"]}}
        return data
