"""Where a server is reached from one conversation, and what is sent along: locators and secrets filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from greenline.agents.config.locators import (
    EnvironmentLocator,
    HeaderValue,
    SecretLocator,
    VariableLocator,
)
from greenline.agents.lookup import Lookup, ValueUnavailable
from greenline.agents.variables import SECRET
from greenline.text import clean_text
from greenline.tools.mcp.models import McpServerConfig, Transport

MASK: Final = "***"
SHORTEST: Final = 4
"""Characters of a value that is masked: who masks a single digit masks every price."""
MAX_REASON: Final = 500
"""Characters of a server's own words that an error repeats."""

_URL: Final = "url"
_TOKEN: Final = "secret_token"  # noqa: S105 - the name of a field
_HEADERS: Final = "request_headers."
_META: Final = "request_meta."
_NO_CONNECTIONS: Final = (
    "auth_connection: the workspace has no auth connections. Use secret_token or request_headers."
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Nothing of it is logged or shown: ``secrets`` are the values that no text may repeat."""

    transport: Transport
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    workspace_id: str = ""
    """Who asks: what one workspace hears, and how long it waits, is nothing to another one."""

    def keeping(self, secrets: Iterable[str]) -> Endpoint:
        """The same with further secrets."""
        return replace(self, secrets=self.secrets | {secret for secret in secrets if len(secret) >= SHORTEST})

    def masked(self, text: str) -> str:
        """``text`` without secrets: a server may repeat what it was sent."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text

    def discreet(self, text: str) -> str:
        """``text`` as an error may repeat it."""
        return clean_text(self.masked(text))[:MAX_REASON]


async def endpoint_of(config: McpServerConfig, lookup: Lookup) -> Endpoint:
    """Raises `greenline.agents.lookup.ValueUnavailable`."""
    if config.auth_connection is not None:
        raise ValueUnavailable(_NO_CONNECTIONS)
    named: dict[str, HeaderValue] = {_HEADERS + name: value for name, value in config.request_headers.items()}
    named[_URL] = config.url
    if config.secret_token is not None:
        named[_TOKEN] = config.secret_token
    texts = await lookup.texts(named)
    headers = {name: texts[_HEADERS + name] for name in config.request_headers}
    if config.secret_token is not None:
        headers["Authorization"] = _authorization(texts[_TOKEN])
    secrets = {form for place, value in named.items() if _is_secret(value) for form in _forms(texts[place])}
    if isinstance(config.url, SecretLocator):
        secrets |= set(_parts(texts[_URL]))
    url = texts[_URL].strip()
    found = Endpoint(config.transport, url, tuple(headers.items()), workspace_id=lookup.workspace_id)
    return found.keeping(secrets)


async def meta_of(config: McpServerConfig, endpoint: Endpoint, lookup: Lookup) -> tuple[dict[str, Any], Endpoint]:
    """What a call has in ``_meta``, and the endpoint that knows of the secrets in it.

    Raises `greenline.agents.lookup.ValueUnavailable`.
    """
    named = {
        _META + name: value
        for name, value in config.request_meta.items()
        if isinstance(value, SecretLocator | VariableLocator | EnvironmentLocator)
    }
    texts: Mapping[str, str] = await lookup.texts(named) if named else {}
    meta = {name: texts.get(_META + name, value) for name, value in config.request_meta.items()}
    secrets = {form for place, value in named.items() if _is_secret(value) for form in _forms(texts[place])}
    return meta, endpoint.keeping(secrets)


def _is_secret(value: HeaderValue) -> bool:
    return isinstance(value, SecretLocator | EnvironmentLocator) or (
        isinstance(value, VariableLocator) and value.variable_name.startswith(SECRET)
    )


def _forms(secret: str) -> list[str]:
    """How a server may repeat a secret: as it is, without the white space around it, or without its scheme."""
    return [secret, secret.strip(), *secret.split()[-1:]]


def _authorization(token: str) -> str:
    """A token alone is a bearer token; one with a scheme is sent as it is."""
    token = token.strip()
    return token if " " in token else f"Bearer {token}"


def _parts(url: str) -> list[str]:
    """What an error of the connection could tell of a secret address."""
    try:
        split = urlsplit(url)
    except ValueError:
        return []
    parts = (split.netloc, split.hostname or "", split.path.strip("/"), split.query)
    return list(parts)
