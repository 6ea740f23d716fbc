"""Access tokens: which one a call carries, whether it still lives, and what it may (Meta: Access tokens)."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError, unknown_object
from greenline.emulator.fault_kinds import TokenExpired
from greenline.emulator.faults import Faults
from greenline.emulator.quotas import take
from greenline.emulator.world import Account, App, Token, World

MANAGEMENT: Final = "whatsapp_business_management"
MESSAGING: Final = "whatsapp_business_messaging"
INACTIVE_CALLS_PER_HOUR: Final = 200  # Meta: Rate limits


class Tokens:
    """Judges the tokens of calls."""

    def __init__(self, world: World, config: Config, clock: MovableClock, faults: Faults) -> None:
        self._world = world
        self._config = config
        self._clock = clock
        self._faults = faults

    def of(self, value: str) -> Token:
        """The token of a call, which wrote it so. Raises `MetaError` 190."""
        if not value:
            raise MetaError(190, "An access token is required to request this resource.")
        token = self._world.tokens.get(value)
        error = self._death(token)
        if token is None or error is not None:
            raise error or MetaError(190)
        return token

    def permit(self, token: Token, account_id: str, scope: str) -> None:
        """Refuse what the token may not do with a business account, and count the calls that manage it.

        Raises:
            MetaError: 100 for an account that it never knew, 200 for one that was taken from it, 10 for a permission
                that it lacks, 80007 for too many calls that manage the account.
        """
        if account_id in token.withdrawn_ids:
            raise MetaError(200, "The permission to use this business account was withdrawn.")
        if account_id not in token.account_ids:
            raise unknown_object(account_id)
        if scope not in token.scopes:
            raise MetaError(10, f"This call needs the permission {scope}.")
        if scope == MANAGEMENT:
            self._count(self._world.accounts[account_id], token.app_id)

    def app(self, value: str) -> App:
        """The app of an app token: its id, a bar, its secret. Raises `MetaError` 190."""
        app_id, _, secret = value.partition("|")
        app = self._world.apps.get(app_id)
        if app is None or app.secret != secret:
            raise MetaError(190, "Invalid OAuth access token signature.")
        return app

    def described(self, value: str) -> dict[str, Any]:
        """What ``debug_token`` tells of a token."""
        token = self._world.tokens.get(value)
        error = self._death(token)
        data: dict[str, Any] = {"is_valid": error is None}
        if error is not None:
            data["error"] = {"code": error.code, "message": error.details}
            if error.subcode is not None:
                data["error"]["subcode"] = error.subcode
        if token is None:
            return {"data": data}
        targets = sorted(token.account_ids)
        return {
            "data": {
                "app_id": token.app_id,
                "type": "SYSTEM_USER",
                **data,
                "expires_at": int(token.expires_at or 0),
                "data_access_expires_at": 0,
                "scopes": list(token.scopes),
                "granular_scopes": [
                    {"scope": scope, "target_ids": targets}
                    for scope in token.scopes
                    if scope in (MANAGEMENT, MESSAGING)
                ],
            }
        }

    def _count(self, account: Account, app_id: str) -> None:
        active = any(n.registered for n in self._world.numbers.values() if n.account_id == account.id)
        most = self._config.management_calls_per_hour
        most = most if active else min(most, INACTIVE_CALLS_PER_HOUR)
        if not take(account.management_calls.setdefault(app_id, deque()), self._clock.now(), 3600.0, most):
            raise MetaError(80007, f"An app may manage this account {most} times an hour.")

    def _death(self, token: Token | None) -> MetaError | None:
        if token is None or token.revoked:
            return MetaError(190, "Invalid OAuth access token.", subcode=467)
        expired = token.expires_at is not None and token.expires_at <= self._clock.now()
        if expired or self._faults.acting(TokenExpired, token=token.value):
            return MetaError(190, "Error validating access token: Session has expired.", subcode=463)
        return None
