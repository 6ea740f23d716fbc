"""The access token of a number on its way to Meta, and whom to tell when Meta does not take it any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from greenline.store.vault import Vault


@dataclass(frozen=True, slots=True)
class NumberToken:
    """The token of a connected number. ``sealed`` is how it was stored when it was read: another may be by now."""

    workspace_id: str
    phone_number_id: str
    sealed: bytes = field(repr=False)
    value: str = field(repr=False)


Token: TypeAlias = NumberToken | str
"""A plain text is a token of no number: that of an import, or of the app."""

TokenDied: TypeAlias = Callable[[NumberToken], Awaitable[object]]


def open_token(vault: Vault, workspace_id: str, phone_number_id: str, sealed: bytes) -> NumberToken:
    """The token of a number. Raises `greenline.store.vault.SecretUnreadable`."""
    return NumberToken(workspace_id, phone_number_id, sealed, vault.open(sealed, phone_number_id))


def text_of(token: Token) -> str:
    """The token as Meta takes it."""
    return token if isinstance(token, str) else token.value
