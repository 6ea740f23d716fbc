"""Values that a configuration only names, found when a request needs them (reference: Secrets, Personalization).

Secret dynamic variables (``secret__...``) wait sealed in the journal of their conversation and are opened here and
nowhere else: for headers and keys of requests, never for a model, a transcript or an answer of the API.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from greenline.agents.config import ConversationConfig
from greenline.agents.config.locators import EnvironmentLocator, HeaderValue, SecretLocator, VariableLocator
from greenline.agents.variables import ENVIRONMENT, SECRET, as_text, environment_labels, fill_environment
from greenline.errors import BadRequest
from greenline.store.pool import Connection, Pool
from greenline.store.vault import SecretUnreadable, Vault
from greenline.workspaces import environments
from greenline.workspaces.environments import PRODUCTION
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
class _Found:
    """Secrets by id, environment variables by label: those that are named, and those that stand in texts."""

    secrets: Mapping[str, str] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    in_texts: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where one conversation finds values. ``sealed`` holds its secret variables as `seal_secrets` made them."""

    pool: Pool = field(repr=False)
    vault: Vault = field(repr=False)
    workspace_id: str
    conversation_id: str
    variables: Mapping[str, Any] = field(repr=False)
    sealed: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: str = PRODUCTION

    async def texts(self, named: Mapping[str, HeaderValue]) -> dict[str, str]:
        """The texts that ``named`` stands for, under the same keys. Raises `ValueUnavailable`.

        The keys name the places in the error: ``request_headers.X-Key``. Of a plain text only environment variables
        (``{{system__env_label}}``) are filled in.
        """
        try:
            found = await self._find(named.values())
        except SecretUnreadable as error:
            raise ValueUnavailable(f"A secret of the agent can't be used. {error.message}") from error
        texts = {place: self._text(value, found) for place, value in named.items()}
        missing = [f"{place}: {_missing(named[place], found)}" for place, text in texts.items() if text is None]
        if missing:
            raise ValueUnavailable(f"The agent's configuration names what is not there: {'; '.join(missing)}.")
        return {place: text for place, text in texts.items() if text is not None}

    async def _find(self, values: Collection[HeaderValue]) -> _Found:
        ids = {value.secret_id for value in values if isinstance(value, SecretLocator)}
        labels = {value.env_var_label for value in values if isinstance(value, EnvironmentLocator)}
        in_texts = environment_labels(value for value in values if isinstance(value, str))
        return _Found(
            secrets=await reveal(self.pool, self.vault, self.workspace_id, ids),
            environment=await self._environment(labels, secret=True),
            in_texts=await self._environment(in_texts, secret=False),
        )

    def _text(self, value: HeaderValue, found: _Found) -> str | None:
        match value:
            case str():
                return fill_environment(value, found.in_texts)
            case SecretLocator():
                return found.secrets.get(value.secret_id)
            case VariableLocator():
                return self._variable(value.variable_name)
            case EnvironmentLocator():
                return found.environment.get(value.env_var_label)

    async def _environment(self, labels: Collection[str], *, secret: bool) -> dict[str, str]:
        return await environments.texts(
            self.pool, self.vault, self.workspace_id, self.environment, labels, secret=secret
        )

    def _variable(self, name: str) -> str | None:
        if name in self.sealed:
            try:
                return self.vault.open(base64.b64decode(self.sealed[name]), _context(self.conversation_id, name))
            except SecretUnreadable as error:
                raise ValueUnavailable(f"The dynamic variable {name} can't be used. {error.message}") from error
        value = self.variables.get(name)
        return None if value is None else as_text(value)


async def environment_variables(
    pool: Pool | Connection, vault: Vault, workspace_id: str, environment: str, config: ConversationConfig
) -> dict[str, str]:
    """The environment variables that an agent's texts use, as dynamic variables of a conversation that begins.

    A prompt keeps the values of the start (reference: System variables).
    """
    labels = environment_labels(_texts(config))
    found = await environments.texts(pool, vault, workspace_id, environment, labels, secret=False)
    return {ENVIRONMENT + label: text for label, text in found.items()}


def _texts(config: ConversationConfig) -> Iterator[str]:
    """What the agent says and is told, in every language to which the conversation may switch."""
    yield from (config.agent.first_message, config.agent.prompt.prompt)
    for preset in config.language_presets.values():
        if preset.first_message_translation is not None:
            yield preset.first_message_translation.text
        if (agent := preset.overrides.agent) is not None:
            yield agent.first_message or ""
            yield (agent.prompt.prompt if agent.prompt is not None else None) or ""


def _context(conversation_id: str, name: str) -> str:
    return f"variable:{conversation_id}:{name}"


def _missing(value: HeaderValue, found: _Found) -> str:
    match value:
        case SecretLocator():
            return f"the workspace has no secret {value.secret_id}"
        case VariableLocator():
            return f"the conversation has no dynamic variable {value.variable_name}"
        case EnvironmentLocator():
            return f"the workspace has no environment variable {value.env_var_label}"
        case str():
            missing = sorted(environment_labels([value]) - found.in_texts.keys())
            return f"the workspace has no environment variable {', '.join(missing)} with a text"
