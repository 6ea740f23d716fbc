"""Workspaces and the keys that open them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from greenline.errors import BadRequest, ConfigurationError, NotFound

DEFAULT_ID: Final = "workspace_default"
"""The workspace of a server that has only one; fixed, so that replicas that start together make one."""
BOOTSTRAP_KEY_ID: Final = "key_bootstrap"
"""The one key that comes from GREENLINE_API_KEY: another value there replaces it."""


class WorkspaceNotFound(NotFound):
    """There is no workspace with this id in this database. `greenline workspace list` shows them; the first start
    of a server makes the default one. Another database than the server's? Name its folder with --data-dir.
    """

    code = "workspace_not_found"


class KeyNotFound(NotFound):
    """This workspace has no API key with this id. `greenline key list` shows them."""

    code = "key_not_found"


class BlankName(BadRequest):
    """A name has to be more than spaces: people tell workspaces and keys apart by it."""

    code = "blank_name"


class KeyOfAnotherWorkspace(ConfigurationError):
    """GREENLINE_API_KEY is the key of another workspace than the default one. Choose another value, or unset it."""

    code = "key_of_another_workspace"


@dataclass(frozen=True, slots=True)
class Workspace:
    """What separates tenants: every object belongs to one."""

    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it can be shown later. ``hint`` is its last four characters."""

    id: str
    workspace_id: str
    name: str
    hint: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key at the only moment when it can be read."""

    id: str
    secret: str = field(repr=False)
