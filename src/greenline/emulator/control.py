"""The control API: plays people, shows what happened, sets faults, moves the clock. See ``/control/docs``."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Body, FastAPI, HTTPException
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from greenline.emulator import control_calls, control_log, control_people
from greenline.emulator.calls.permissions import Unanswerable
from greenline.emulator.config import Config
from greenline.emulator.control_answers import (
    Business,
    Code,
    EscapedResponse,
    FaultShown,
    FaultsKnown,
    FaultsSet,
    Handshake,
    Now,
    TemplateShown,
    TokenShown,
    refusals,
)
from greenline.emulator.control_models import Advance, Callback, Review, Setup, TokenChange, known
from greenline.emulator.control_router import Emulated, control_router
from greenline.emulator.fault_kinds import NAMES, AnyFault
from greenline.emulator.meta import Meta
from greenline.emulator.taps import NoReply, NoSuchButton
from greenline.emulator.world import Account, App, Number, Token, digits

_DESCRIPTION: Final = """
Plays the people who write to a business and call it, shows what happened, sets faults, and moves the clock of an
emulator of Meta's WhatsApp Cloud API. The Graph API itself is under `/v25.0/` (any version from 17 to 26).

Begin with `POST /control/setup`, which makes a business, and `POST /control/people`, which makes somebody with
WhatsApp.
"""

business_router = control_router()
faults_router = control_router()


def create_control(meta: Meta) -> FastAPI:
    """The control API over one emulator."""
    app = FastAPI(
        title="Emulator control",
        description=_DESCRIPTION,
        docs_url="/docs",
        redoc_url=None,
        openapi_url="/openapi.json",
        default_response_class=EscapedResponse,
    )
    app.add_exception_handler(RequestValidationError, _refused)
    for kind, status in ((NoSuchButton, 404), (NoReply, 409), (Unanswerable, 409)):
        app.add_exception_handler(kind, _refusal(status))
    app.state.meta = meta
    for part in (business_router, control_people.router, control_calls.router, control_log.router, faults_router):
        app.router.routes.extend(part.routes)  # including a router makes its routes anew for each application
    return app


def _refusal(status: int) -> Callable[[Request, Exception], Response]:
    """What answers an exception that says why a person can't do that."""
    return lambda request, error: EscapedResponse({"detail": str(error)}, status)


def _refused(_: Request, error: Exception) -> Response:
    """As FastAPI's."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    return EscapedResponse({"detail": jsonable_encoder(error.errors())}, 422)


@business_router.post("/setup", response_model=Business)
async def setup(meta: Emulated, body: Setup | None = None) -> dict[str, Any]:
    """Make a whole business: an app, a business account, a number and a token; what has an id already is kept."""
    body = body or Setup()
    made = App(
        body.app_id or digits(),
        body.app_secret or secrets.token_hex(16),
        body.verify_token or secrets.token_hex(8),
    )
    made = meta.world.apps.setdefault(made.id, made)
    account = meta.world.accounts.setdefault(
        body.waba_id or digits(), Account(body.waba_id or digits(), body.business_name)
    )
    meta.world.accounts = {a.id: a for a in [*meta.world.accounts.values(), account]}
    display = body.display_phone_number or f"+1 555-{secrets.randbelow(900) + 100}-{secrets.randbelow(9000) + 1000}"
    number_id = body.phone_number_id or digits()
    number = Number(number_id, account.id, display, body.verified_name or body.business_name)
    if body.test_recipients is not None:
        number.test_recipients = {"".join(c for c in phone if c.isdigit()) for phone in body.test_recipients}
    number.coexists = body.coexistence
    number.settings["calling"] = {"status": "ENABLED" if body.calling else "DISABLED"}
    meta.world.numbers[number.id] = number
    value = body.token or "EAA" + secrets.token_urlsafe(32)
    expires = meta.clock.now() + body.token_expires_in if body.token_expires_in is not None else None
    token = meta.world.tokens.setdefault(value, Token(value, made.id, set(), expires))
    token.account_ids.add(account.id)
    if body.callback_url:
        made.callback_url = body.callback_url
    return {
        "app_id": made.id,
        "app_secret": made.secret,
        "verify_token": made.verify_token,
        "token": value,
        "waba_id": account.id,
        "waba_name": account.name,
        "phone_number_id": number.id,
        "display_phone_number": number.display,
    }


@business_router.post("/apps/{app_id}/callback", response_model=Handshake, responses=refusals(404))
async def callback(meta: Emulated, app_id: str, body: Callback) -> dict[str, Any]:
    """Set where the webhooks of an app go; the callback must answer the handshake, unless `verify` is false."""
    owner = known(meta.world.apps, app_id)
    token = body.verify_token or owner.verify_token
    result = await meta.webhooks.verify(body.callback_url, token) if body.verify else {"ok": True}
    if result["ok"]:
        owner.callback_url, owner.verify_token, owner.fields = body.callback_url, token, set(body.fields)
    return result


@business_router.post("/templates/{template_id}/review", response_model=TemplateShown, responses=refusals(404))
async def review(meta: Emulated, template_id: str, body: Review) -> dict[str, Any]:
    """Give a template any state, and tell the business."""
    for account in meta.world.accounts.values():
        if template_id in account.templates:
            meta.reviews.decide(account, template_id, body.status.upper(), body.reason)
            return account.templates[template_id]
    raise HTTPException(404, f"No template {template_id}.")


@business_router.post("/codes", response_model=Code)
async def code(meta: Emulated, token: Annotated[str, Body(embed=True)]) -> dict[str, str]:
    """Make a code as Embedded Signup gives it: good for the token once, for 30 seconds."""
    made = secrets.token_urlsafe(24)
    meta.world.codes[made] = (token, meta.clock.now() + 30)
    return {"code": made}


@business_router.patch("/tokens/{value}", response_model=TokenShown, responses=refusals(404))
async def change_token(meta: Emulated, value: str, body: TokenChange) -> dict[str, Any]:
    """Let a token end, lose permissions or business accounts, or get them back."""
    token = known(meta.world.tokens, value)
    if body.expires_in is not None:
        token.expires_at = meta.clock.now() + body.expires_in
    if body.revoked is not None:
        token.revoked = body.revoked
    if body.scopes is not None:
        token.scopes = tuple(body.scopes)
    if body.account_ids is not None:
        token.cover(set(body.account_ids))
    return {"expires_at": token.expires_at, "revoked": token.revoked, "scopes": token.scopes}


@faults_router.post("/faults", response_model=FaultShown)
async def add(meta: Emulated, body: Annotated[AnyFault, Body()]) -> dict[str, Any]:
    """Set a fault by its name; each has parameters of its own."""
    shown = meta.faults.add(body).shown()
    meta.journal.add("fault", name=body.name, fault=shown["id"])
    return shown


@faults_router.get("/faults", response_model=FaultsKnown)
async def faults(meta: Emulated) -> dict[str, Any]:
    """Show the faults that are set, how often they acted, and what faults there are."""
    return {"faults": [fault.shown() for fault in meta.faults.all()], "names": NAMES}


@faults_router.delete("/faults", response_model=FaultsSet)
async def clear(meta: Emulated) -> dict[str, Any]:
    """Take all faults away."""
    meta.faults.remove()
    return {"faults": []}


@faults_router.delete("/faults/{fault_id}", response_model=FaultsSet)
async def remove(meta: Emulated, fault_id: int) -> dict[str, Any]:
    """Take one fault away; answers with those that stay."""
    meta.faults.remove(fault_id)
    return {"faults": [fault.shown() for fault in meta.faults.all()]}


@faults_router.post("/clock", response_model=Now)
async def clock(meta: Emulated, body: Advance) -> dict[str, float]:
    """Move the clock on: windows, limits, expiries and repetitions of webhooks with it."""
    meta.clock.advance(body.advance_seconds)
    meta.journal.add("clock", advance_seconds=body.advance_seconds)
    await asyncio.sleep(0)
    return {"now": meta.clock.now()}


@faults_router.get("/config")
async def config(meta: Emulated) -> Config:
    """Show all settings."""
    return meta.config


@faults_router.patch("/config")
async def configure(meta: Emulated, body: Annotated[dict[str, Any], Body()]) -> Config:
    """Change the settings that are named; answers with all of them."""
    try:
        changed = Config.model_validate({**meta.config.model_dump(), **body})
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False), body=body) from error
    for name in body:
        setattr(meta.config, name, getattr(changed, name))
    return meta.config
