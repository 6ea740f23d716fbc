"""The client of Meta's Graph API: the one place from which tokens leave, and only to the hosts of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson

from greenline.channels.whatsapp.graph_errors import GraphError, Outcome
from greenline.channels.whatsapp.graph_http import GraphHttp
from greenline.channels.whatsapp.graph_media import Download, check_digest, unavailable
from greenline.channels.whatsapp.graph_token import Token, TokenDied, text_of
from greenline.errors import ConfigurationError
from greenline.settings import Settings

MEDIA_SECONDS: Final = 60.0
PAGE_SIZE: Final = 100
MAX_PAGES: Final = 100

NUMBER_FIELDS: Final = (
    "id",
    "display_phone_number",
    "verified_name",
    "status",
    "platform_type",
    "code_verification_status",
    "name_status",
    "quality_rating",
    "account_mode",
    "health_status",
    "webhook_configuration",
    "whatsapp_business_manager_messaging_limit",
    "throughput",
)
BASIC_NUMBER_FIELDS: Final = ("id", "display_phone_number", "verified_name", "code_verification_status")
"""Fields that every version has: a version that lacks one of the others refuses the whole request."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """Meta accepted a message. ``wa_id`` and ``user_id`` (BSUID) are how it names the recipient."""

    wamid: str
    wa_id: str | None = None
    user_id: str | None = None


class GraphClient:
    """Calls of the Graph API. Each raises `GraphError`, whose outcome says whether it may be repeated."""

    def __init__(self, settings: Settings, token_died: TokenDied | None = None) -> None:
        self._url = f"{settings.graph_url.rstrip('/')}/{settings.graph_version.strip('/')}"
        self._max_media_bytes = settings.media_max_bytes
        self._app_id = settings.meta_app_id
        self._app_secrets = settings.meta_app_secret
        self._media_hosts = frozenset(host.lower() for host in settings.media_hosts)
        self._http = GraphHttp(settings.graph_timeout_seconds, token_died)

    def __repr__(self) -> str:
        return f"<GraphClient {self._url}>"

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._http.aclose()

    # Messages

    async def send_message(self, phone_number_id: str, token: Token, body: Mapping[str, Any]) -> SendResult:
        """Send a message; ``body`` is Meta's, with recipient and type."""
        answer = await self._call("POST", f"{_id(phone_number_id)}/messages", token, body=body)
        message, contact = _first(answer.get("messages")), _first(answer.get("contacts"))
        wamid = message.get("id")
        if not isinstance(wamid, str):
            raise GraphError("Meta's answer names no message", outcome=Outcome.UNKNOWN, http_status=200)
        return SendResult(wamid, _text(contact.get("wa_id")), _text(contact.get("user_id")))

    async def mark_read(self, phone_number_id: str, token: Token, message_id: str, *, typing: bool = False) -> None:
        """Turn the ticks of a message blue, and show for 25 s at most that an answer is being written."""
        body: dict[str, Any] = {"messaging_product": "whatsapp", "status": "read", "message_id": message_id}
        if typing:
            body["typing_indicator"] = {"type": "text"}
        await self._call("POST", f"{_id(phone_number_id)}/messages", token, body=body)

    # Numbers and business accounts

    async def phone_number(self, phone_number_id: str, token: Token) -> dict[str, Any]:
        """The number's `NUMBER_FIELDS`, as far as Meta has them."""
        try:
            return await self._get(_id(phone_number_id), token, fields=",".join(NUMBER_FIELDS))
        except GraphError as error:
            if error.code != 100 or error.subcode == 33:
                raise
        return await self._get(_id(phone_number_id), token, fields=",".join(BASIC_NUMBER_FIELDS))

    async def calling_settings(self, phone_number_id: str, token: Token) -> dict[str, Any]:
        """The calling settings of a number; empty where Meta tells none."""
        calling = (await self._get(f"{_id(phone_number_id)}/settings", token)).get("calling")
        return calling if isinstance(calling, dict) else {}

    async def phone_numbers(self, business_account_id: str, token: Token) -> list[dict[str, Any]]:
        """The numbers of a business account."""
        return await self._list(f"{_id(business_account_id)}/phone_numbers", token)

    async def business_account(self, business_account_id: str, token: Token) -> dict[str, Any]:
        """``id`` and ``name`` of a business account."""
        return await self._get(_id(business_account_id), token, fields="id,name")

    async def templates(
        self, business_account_id: str, token: Token, name: str | None = None
    ) -> list[dict[str, Any]]:
        """The templates of a business account. Meta searches for names that *contain* ``name``."""
        fields = "id,name,language,status,category,parameter_format,components"
        filters = {"name": name} if name is not None else {}
        return await self._list(f"{_id(business_account_id)}/message_templates", token, fields=fields, **filters)

    # Subscriptions

    async def subscribed_apps(self, business_account_id: str, token: Token) -> list[dict[str, Any]]:
        """Apps that get the webhooks of a business account, as ``{id, name, override_callback_uri?}``."""
        rows = await self._list(f"{_id(business_account_id)}/subscribed_apps", token)
        apps = ((row.get("whatsapp_business_api_data"), row.get("override_callback_uri")) for row in rows)
        return [{**app, "override_callback_uri": uri} for app, uri in apps if isinstance(app, dict)]

    async def is_subscribed(self, business_account_id: str, token: Token) -> bool:
        """Whether the app of the settings gets the webhooks of a business account; any app if its id is not set."""
        apps = await self.subscribed_apps(business_account_id, token)
        return any(self._app_id in (None, str(app.get("id"))) for app in apps)

    async def subscribe_app(self, business_account_id: str, token: Token) -> None:
        """Let the token's app get the webhooks of a business account."""
        await self._call("POST", f"{_id(business_account_id)}/subscribed_apps", token)

    async def unsubscribe_app(self, business_account_id: str, token: Token) -> None:
        """Stop the webhooks of a business account to the token's app."""
        await self._call("DELETE", f"{_id(business_account_id)}/subscribed_apps", token)

    # Tokens

    @property
    def knows_app(self) -> bool:
        """Whether id and secret of the app are set, which `debug_token` and `exchange_code` need."""
        return bool(self._app_id and self._app_secrets)

    async def debug_token(self, token: Token) -> dict[str, Any]:
        """What Meta knows of a token: ``is_valid``, ``expires_at`` (0: never), ``scopes``, ``granular_scopes``."""
        app_id, secret = self._app()
        answer = await self._get("debug_token", f"{app_id}|{secret}", input_token=text_of(token))
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    async def exchange_code(self, code: str) -> str:
        """The business token for the code of an Embedded Signup, which lives 30 seconds and works once."""
        app_id, secret = self._app()
        params = {"client_id": app_id, "client_secret": secret, "code": code}
        answer = await self._call("GET", "oauth/access_token", None, params=params)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise GraphError("Meta's answer holds no token", outcome=Outcome.PERMANENT, http_status=200)
        return token

    # Media

    async def locate_media(self, phone_number_id: str, token: Token, media_id: str) -> dict[str, Any]:
        """``{url, mime_type, sha256, file_size}`` of a file; the address lives 5 minutes."""
        return await self._get(_id(media_id), token, phone_number_id=phone_number_id)

    async def fetch_media(
        self, phone_number_id: str, token: Token, media_id: str, *, sha256: str | None = None
    ) -> bytes:
        """The bytes of a file. ``sha256`` is the webhook's digest, hex or base64; Meta's own is checked as well."""
        try:
            return await self._fetch_media(phone_number_id, token, media_id, sha256)
        except GraphError as error:
            if error.outcome is Outcome.PERMANENT and error.http_status not in (401, 403, 404):
                raise
        # The address may have just died, or the connection: both begin anew.
        return await self._fetch_media(phone_number_id, token, media_id, sha256)

    async def upload_media(
        self, phone_number_id: str, token: Token, data: bytes, *, mime_type: str, filename: str
    ) -> str:
        """The id under which Meta keeps a file for 30 days."""
        form = aiohttp.FormData({"messaging_product": "whatsapp", "type": mime_type})
        form.add_field("file", data, filename=filename, content_type=mime_type)
        url = f"{self._url}/{_id(phone_number_id)}/media"
        answer = await self._http.call("POST", url, token=token, body=form, seconds=MEDIA_SECONDS)
        media_id = answer.get("id")
        if not isinstance(media_id, str):
            raise GraphError("Meta's answer names no file", outcome=Outcome.UNKNOWN, http_status=200)
        return media_id

    async def _fetch_media(self, phone_number_id: str, token: Token, media_id: str, sha256: str | None) -> bytes:
        place = await self.locate_media(phone_number_id, token, media_id)
        url = place.get("url")
        if not isinstance(url, str):
            raise unavailable("Meta's answer holds no address")
        data = await self._download(url, token)
        check_digest(data, sha256, place.get("sha256"))
        return data

    async def _download(self, url: str, token: Token) -> bytes:
        download = Download(self._http, self._url, self._media_hosts, self._max_media_bytes, MEDIA_SECONDS)
        return await download.fetch(url, token)

    # Requests

    def _app(self) -> tuple[str, str]:
        if not self._app_id or not self._app_secrets:
            raise ConfigurationError("Set GREENLINE_META_APP_ID and GREENLINE_META_APP_SECRET for this call.")
        return self._app_id, self._app_secrets[0]

    async def _get(self, path: str, token: Token, **params: str) -> dict[str, Any]:
        return await self._call("GET", path, token, params=params)

    async def _list(self, path: str, token: Token, **params: str) -> list[dict[str, Any]]:
        """All rows of an edge. Pages are asked for by cursor: the address of the next page is not trusted."""
        rows: list[dict[str, Any]] = []
        page = {"limit": str(PAGE_SIZE), **params}
        for _ in range(MAX_PAGES):
            answer = await self._call("GET", path, token, params=page)
            data = answer.get("data")
            if isinstance(data, list):
                rows.extend(row for row in data if isinstance(row, dict))
            paging = answer.get("paging")
            cursors = paging.get("cursors") if isinstance(paging, dict) else None
            after = cursors.get("after") if isinstance(cursors, dict) else None
            if not isinstance(paging, dict) or not paging.get("next") or not isinstance(after, str):
                break
            page["after"] = after
        return rows

    async def _call(
        self,
        method: str,
        path: str,
        token: Token | None,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        content = None if body is None else orjson.dumps(body)
        return await self._http.call(method, f"{self._url}/{path}", token=token, params=params, body=content)


def _id(value: str) -> str:
    """An id as one segment of a path, whatever a webhook or a client has put into it."""
    return quote(value, safe="") if value not in ("", ".", "..") else "-"


def _first(value: object) -> dict[str, Any]:
    item = value[0] if isinstance(value, list) and value else None
    return item if isinstance(item, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
