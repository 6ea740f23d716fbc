"""Graph calls of a business account: its numbers, its subscribed apps, its templates."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request

from greenline.emulator import templates
from greenline.emulator.answers import health, paged, read_body
from greenline.emulator.callbacks import prove
from greenline.emulator.errors import unknown_object
from greenline.emulator.fields import ACCOUNT, TEMPLATE, selected
from greenline.emulator.graph_numbers import NumberCalls
from greenline.emulator.meta import Meta
from greenline.emulator.tokens import MANAGEMENT, Tokens
from greenline.emulator.world import Account, Token

_SHOWN: Final = ("id", "name", "timezone_id", "message_template_namespace")


class AccountCalls:
    """Calls on a business account, its edges and its templates."""

    def __init__(self, meta: Meta, tokens: Tokens, numbers: NumberCalls) -> None:
        self._meta = meta
        self._tokens = tokens
        self._numbers = numbers

    async def answer(self, request: Request, account: Account, edge: list[str], token: Token) -> dict[str, Any]:
        """Answer a call on the account or one of its edges. Raises `MetaError`."""
        self._tokens.permit(token, account.id, MANAGEMENT)
        match request.method, *edge:
            case ["GET"]:
                return selected(self._fields(account), request, ACCOUNT, default=_SHOWN)
            case ["GET", "phone_numbers"]:
                numbers = [n for n in self._meta.world.numbers.values() if n.account_id == account.id]
                return paged([self._numbers.shown(request, number) for number in numbers], request)
            case ["GET", "subscribed_apps"]:
                return _subscribed(account)
            case ["POST", "subscribed_apps"]:
                return await self._subscribe(request, account, token)
            case ["DELETE", "subscribed_apps"]:
                account.subscribed.pop(token.app_id, None)
                return {"success": True}
            case ["GET", "message_templates"]:
                return self._templates(request, account)
            case ["POST", "message_templates"]:
                return await self._create_template(request, account)
            case ["DELETE", "message_templates"]:
                return self._delete_template(request, account)
        raise unknown_object("/".join([account.id, *edge]))

    async def template(self, request: Request, account: Account, template_id: str, token: Token) -> dict[str, Any]:
        """``GET``/``POST /{template_id}``. Raises `MetaError`."""
        self._tokens.permit(token, account.id, MANAGEMENT)
        template = account.templates[template_id]
        if request.method == "GET":
            return _shown(request, template)
        if request.method != "POST":
            raise unknown_object(template_id)
        templates.edit(template, await read_body(request), self._meta.uploads.header_of)
        self._meta.reviews.resubmit(account, template_id)
        return {"success": True}

    def _fields(self, account: Account) -> dict[str, Any]:
        return {
            "id": account.id,
            "name": account.name,
            "currency": "EUR",
            "timezone_id": "1",
            "country": "US",
            "status": "ACTIVE",
            "account_review_status": "APPROVED",
            "business_verification_status": "verified",
            "ownership_type": "SELF",
            "message_template_namespace": account.namespace,
            "whatsapp_business_manager_messaging_limit": self._meta.config.messaging_limit,
            "health_status": health("WABA", account.id),
            "subscribed_apps": _subscribed(account),
        }

    async def _subscribe(self, request: Request, account: Account, token: Token) -> dict[str, Any]:
        body = await read_body(request)
        override = body.get("override_callback_uri")
        if override:
            override = await prove(self._meta.webhooks, override, body.get("verify_token"))
        account.subscribed[token.app_id] = override or None
        return {"success": True}

    async def _create_template(self, request: Request, account: Account) -> dict[str, Any]:
        body, now, meta = await read_body(request), self._meta.clock.now(), self._meta
        made = templates.create(account, body, now, meta.config, meta.uploads.header_of)
        meta.reviews.submit(account, made["id"])
        return {"id": made["id"], "status": made["status"], "category": made["category"]}

    def _templates(self, request: Request, account: Account) -> dict[str, Any]:
        found = templates.search(account, request.query_params)
        page = paged([_shown(request, template) for template in found], request)
        if request.query_params.get("summary"):
            page["summary"] = {
                "total_count": len(found),
                "message_template_count": len(account.templates),
                "message_template_limit": self._meta.config.templates_per_account,
                "are_translations_complete": False,
            }
        return page

    def _delete_template(self, request: Request, account: Account) -> dict[str, Any]:
        query = request.query_params
        now = self._meta.clock.now()
        for template_id in templates.doomed(account, query.get("name"), query.get("hsm_id"), now):
            self._meta.reviews.delete(account, template_id)
        return {"success": True}


def _subscribed(account: Account) -> dict[str, Any]:
    rows = []
    for app_id, override in account.subscribed.items():
        row: dict[str, Any] = {"whatsapp_business_api_data": {"id": app_id, "link": "", "name": f"App {app_id}"}}
        if override:
            row["override_callback_uri"] = override
        rows.append(row)
    return {"data": rows}


def _shown(request: Request, template: dict[str, Any]) -> dict[str, Any]:
    values = {**template, "health_status": health("MESSAGE_TEMPLATE", template["id"])}
    return selected(values, request, TEMPLATE, on_request=("health_status", "rejected_reason"))
