"""Values that are named here and looked up when they are used: secrets, environment and dynamic variables."""

from __future__ import annotations

from typing import TypeAlias

from greenline.agents.config.base import ConfigModel


class SecretLocator(ConfigModel):
    """The value of a workspace secret."""

    secret_id: str


class EnvironmentLocator(ConfigModel):
    """The value of an environment variable in the environment of the conversation."""

    env_var_label: str


class VariableLocator(ConfigModel):
    """The value of a dynamic variable of the conversation."""

    variable_name: str


class AuthConnectionLocator(ConfigModel):
    """An auth connection of the workspace."""

    auth_connection_id: str


HeaderValue: TypeAlias = str | SecretLocator | VariableLocator | EnvironmentLocator
"""A header that is a plain text is sent as it is: placeholders in it are not filled in (reference: Tools)."""

AuthConnection: TypeAlias = AuthConnectionLocator | EnvironmentLocator
