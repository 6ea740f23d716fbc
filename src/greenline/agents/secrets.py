"""The workspace secrets that a definition names (``{"secret_id": ...}``, anywhere in it)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from greenline.errors import BadRequest
from greenline.store.pool import Connection
from greenline.workspaces.secrets import hold

Place: TypeAlias = tuple[str | int, ...]


class UnknownSecrets(BadRequest):
    """The workspace has no secret with this id. Create it first, then name its id."""

    http_status = 422
    code = "unknown_secret"

    def __init__(self, places: Sequence[tuple[Place, str]]) -> None:
        self.places = tuple(places)
        """Where each unknown id stands in the definition, and the id."""
        super().__init__()


def secrets_in(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """The ids of secrets in a stored definition, each with its place."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            if key == "secret_id" and isinstance(child, str):
                yield (*place, key), child
            else:
                yield from secrets_in(child, (*place, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from secrets_in(child, (*place, index))


async def check_secrets(
    connection: Connection, workspace_id: str, config: Mapping[str, Any], *, before: Mapping[str, Any] | None = None
) -> None:
    """Raise `UnknownSecrets` if a stored definition names secrets that the workspace hasn't.

    Ids that the definition ``before`` the change named too are not looked at: an agent that lost a secret can still
    be changed. The secrets can't be deleted before the transaction of ``connection`` ends.
    """
    known = {secret_id for _, secret_id in secrets_in(before)}
    named = [(place, secret_id) for place, secret_id in secrets_in(config) if secret_id not in known]
    there = await hold(connection, workspace_id, {secret_id for _, secret_id in named})
    unknown = [(place, secret_id) for place, secret_id in named if secret_id not in there]
    if unknown:
        raise UnknownSecrets(unknown)
