"""What the control API takes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from fastapi import HTTPException
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

T = TypeVar("T")


def _decoded(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("a text in base64 is expected")
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("this is no base64") from error


Base64 = Annotated[bytes, BeforeValidator(_decoded), WithJsonSchema({"type": "string", "contentEncoding": "base64"})]
Phone = Annotated[str, Field(pattern=r"^[0-9]{4,20}$", description="Digits, with the code of the country.")]


class Setup(BaseModel, extra="forbid"):
    """A whole business: app, business account, number and token. What is left out is made up."""

    business_name: str = "Fern & Field"
    display_phone_number: str | None = None
    verified_name: str | None = None
    callback_url: str | None = None
    app_id: str | None = None
    app_secret: str | None = None
    verify_token: str | None = None
    token: str | None = None
    waba_id: str | None = None
    phone_number_id: str | None = None
    token_expires_in: float | None = Field(None, description="Seconds; null: never.")
    test_recipients: list[str] | None = Field(
        None, max_length=5, description="Makes it a test number, which sends to these phone numbers alone."
    )
    coexistence: bool = Field(default=False, description="Whether the Business app uses the number, too.")
    calling: bool = Field(default=True, description="Whether calls are switched on; at Meta they are off at first.")


class TokenChange(BaseModel, extra="forbid"):
    """What becomes of a token: its end, its permissions, the business accounts that it still covers."""

    expires_in: float | None = Field(None, description="Seconds from now.")
    revoked: bool | None = Field(None, description="Whether it is dead: 190 with subcode 467.")
    scopes: list[str] | None = Field(None, description="Its permissions; a call that needs another is refused by 10.")
    account_ids: list[str] | None = Field(None, description="Those left out are withdrawn: 200.")


class Callback(BaseModel, extra="forbid"):
    """Where an app wants its webhooks."""

    callback_url: str
    verify_token: str | None = None
    fields: list[str] = []
    verify: bool = True


class NewPerson(BaseModel, extra="forbid"):
    """Somebody with WhatsApp."""

    name: str = "Ann"
    phone: Phone | None = Field(None, description="Digits, which nobody else has; null: made up.")
    username: str | None = None
    parent_user_id: str | None = Field(
        None, pattern=r"^[A-Z]{2}\.ENT\.[A-Za-z0-9]{1,128}$", description="If the portfolio is enrolled for such ids."
    )
    hides_phone: bool = False
    online: bool = True
    reads: str = Field("manual", pattern="^(manual|auto)$")
    sends_receipts: bool = True
    has_whatsapp: bool = True
    answers_calls: str = Field("manual", pattern="^(manual|auto|reject|ignore)$")


class PersonChange(BaseModel, extra="forbid"):
    """What changes about a person. Another ``phone`` sends the system message of a changed number."""

    name: str | None = None
    phone: Phone | None = None
    username: str | None = None
    hides_phone: bool | None = None
    online: bool | None = None
    reads: str | None = Field(None, pattern="^(manual|auto)$")
    sends_receipts: bool | None = None
    has_whatsapp: bool | None = None
    blocks_business: bool | None = None
    answers_calls: str | None = Field(None, pattern="^(manual|auto|reject|ignore)$")


class NewUserId(BaseModel, extra="forbid"):
    """A person gets another business-scoped id."""

    told: Literal["system", "field", "both"] = Field(
        "system", description="By a system message, by the webhook field `user_id_update`, or by both."
    )


class FileIn(BaseModel, extra="forbid"):
    """A file that a person sends."""

    data_base64: Base64
    mime_type: str
    filename: str | None = None
    caption: str | None = None
    voice: bool | None = None
    unreadable: bool = Field(default=False, description="Meta can't download it: 131052 comes instead of the media.")


class PersonMessage(BaseModel):
    """Something a person sends: Meta's inbound message without ids and time; ``file`` makes media of its bytes."""

    model_config = ConfigDict(extra="allow")

    phone_number_id: str
    type: str = "text"
    context: dict[str, Any] | None = None
    file: FileIn | None = None

    @model_validator(mode="after")
    def _has_room_for_the_file(self) -> PersonMessage:
        if self.file is not None and not isinstance((self.model_extra or {}).get(self.type, {}), dict):
            raise ValueError(f"{self.type} must be an object where there is a file")
        return self


class Read(BaseModel, extra="forbid"):
    """A person reads."""

    phone_number_id: str
    message_id: str | None = None


class Play(BaseModel, extra="forbid"):
    """A person plays a voice note."""

    phone_number_id: str
    message_id: str


class Tap(BaseModel, extra="forbid"):
    """A person taps a button or a list row of a message, by id or by place."""

    phone_number_id: str
    message_id: str
    button_id: str | None = None
    row_id: str | None = None
    index: int | None = None


class Feedback(BaseModel, extra="forbid"):
    """A person reports a message (null: the last one of a template), or stops or resumes the business's marketing."""

    phone_number_id: str
    feedback: Literal["report", "stop", "resume"]
    message_id: str | None = None


class React(BaseModel, extra="forbid"):
    """A person reacts; an empty emoji takes the reaction back."""

    phone_number_id: str
    message_id: str
    emoji: str = ""


class Advance(BaseModel, extra="forbid"):
    """How far to move the clock."""

    advance_seconds: float = Field(ge=0, le=10 * 365 * 86_400)


class Raw(BaseModel, extra="forbid"):
    """Exact bytes for the callback: an ``envelope`` written and signed as Meta does, or a body with a signature."""

    envelope: Any = None
    body_base64: Base64 | None = None
    signature: str | None = Field(None, pattern="^([!-~]([ -~]*[!-~])?)?$", description="As the header has it.")
    app_id: str | None = None


class Review(BaseModel, extra="forbid"):
    """What Meta says of a template."""

    status: str
    reason: str = "NONE"


def known(things: Mapping[str, T], key: str) -> T:
    """The thing with an id; answers 404 when there is none."""
    if key not in things:
        raise HTTPException(404, f"Nothing here has the id {key}.")
    return things[key]
