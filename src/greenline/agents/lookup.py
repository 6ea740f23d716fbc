"""Values that a configuration only names, found when a request needs them (reference: Secrets, Personalization).

Secret dynamic variables (``secret__...``) wait sealed in the journal of their conversation and are opened here and
nowhere else: for headers and keys of requests, never for a model, a transcript or an answer of the API.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from greenline.agents.config.locators import HeaderValue, SecretLocator, VariableLocator
from greenline.agents.variables import SECRET, as_text
from greenline.errors import BadRequest
from greenline.store.pool import Pool
from greenline.store.vault import SecretUnreadable, Vault
from greenline.workspaces.secrets import reveal


class ValueUnavailable(BadRequest):
    """A value that the agent's configuration names can't be found."""

    code = "value_unavailable"


def seal_secrets(vault: Vault, conversation_id: str, variables: Mapping[str, Any]) -> dict[str, str]:
    """The secret ones of ``variables`` as the journal keeps them: sealed for this conversation, in base64."""
    return {
        name: base64.b64encode(vault.seal(as_text(value), _context(conversation_id, name))).decode()
        for name, value in variables.items()
        if name.startswith(SECRET) and value is not None
    }


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where one conversation finds values. ``sealed`` holds its secret variables as `seal_secrets` made them."""

    pool: Pool = field(repr=False)
    vault: Vault = field(repr=False)
    workspace_id: str
    conversation_id: str
    variables: Mapping[str, Any] = field(repr=False)
    sealed: Mapping[str, str] = field(default_factory=dict, repr=False)

    async def texts(self, named: Mapping[str, HeaderValue]) -> dict[str, str]:
        """The texts that ``named`` stands for, under the same keys. Raises `ValueUnavailable`.

        The keys name the places in the error: ``request_headers.X-Key``. A plain text is itself, whatever it holds.
        """
        ids = {value.secret_id for value in named.values() if isinstance(value, SecretLocator)}
        try:
            secrets = await reveal(self.pool, self.vault, self.workspace_id, ids)
        except SecretUnreadable as error:
            raise ValueUnavailable(f"A secret of the agent can't be used. {error.message}") from error
        found = {place: self._text(value, secrets) for place, value in named.items()}
        missing = [f"{place}: {_missing(named[place])}" for place, text in found.items() if text is None]
        if missing:
            raise ValueUnavailable(f"The agent's configuration names what is not there: {'; '.join(missing)}.")
        return {place: text for place, text in found.items() if text is not None}

    def _text(self, value: HeaderValue, secrets: Mapping[str, str]) -> str | None:
        match value:
            case str():
                return value
            case SecretLocator():
                return secrets.get(value.secret_id)
            case VariableLocator():
                return self._variable(value.variable_name)
            case _:  # no environment variable can be defined
                return None

    def _variable(self, name: str) -> str | None:
        if name in self.sealed:
            try:
                return self.vault.open(base64.b64decode(self.sealed[name]), _context(self.conversation_id, name))
            except SecretUnreadable as error:
                raise ValueUnavailable(f"The dynamic variable {name} can't be used. {error.message}") from error
        value = self.variables.get(name)
        return None if value is None else as_text(value)


def _context(conversation_id: str, name: str) -> str:
    return f"variable:{conversation_id}:{name}"


def _missing(value: HeaderValue) -> str:
    match value:
        case SecretLocator():
            return f"the workspace has no secret {value.secret_id}"
        case VariableLocator():
            return f"the conversation has no dynamic variable {value.variable_name}"
        case str():
            return "nothing is given"
        case _:
            return f"the workspace has no environment variable {value.env_var_label}"
