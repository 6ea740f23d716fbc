"""Opaque cursors of lists: where the next page begins, as the sort key of the last row.

A cursor holds nothing secret and gives no access, so it is checked, not signed: the query it goes into takes the
workspace from the API key, as every query does.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from greenline.errors import BadRequest

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class InvalidCursor(BadRequest):
    """The cursor is not one that this list gave out. Begin again without a cursor."""

    code = "invalid_cursor"


def encode(order: str, *key: str | int) -> str:
    """A cursor for a list sorted as ``order`` names it, after the row whose sort key is ``key``."""
    return base64.urlsafe_b64encode(orjson.dumps([order, *key])).rstrip(b"=").decode()


def decode(cursor: str, order: str, *types: type[str] | type[int]) -> list[Any]:
    """The sort key in ``cursor``. Raises `InvalidCursor`, also for a cursor of a list in another order."""
    try:
        found = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
    if not isinstance(found, list) or len(found) != len(types) + 1 or found[0] != order:
        raise InvalidCursor
    key = found[1:]
    for value, kind in zip(key, types, strict=True):
        if type(value) is not kind or (isinstance(value, str) and "\0" in value):
            raise InvalidCursor
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InvalidCursor
    return key


def from_moment(moment: datetime) -> int:
    """``moment`` as a part of a sort key, in microseconds: no digit is lost on the way."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_moment(microseconds: int) -> datetime:
    """The moment that `from_moment` gave. Raises `InvalidCursor` for one that no calendar has."""
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        raise InvalidCursor from None
