"""What is wrong in a definition that a service has looked at, told as the reference tells of refused input."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from greenline.agents.secrets import UnknownSecrets


@contextlib.contextmanager
def refusing(*place: str) -> Iterator[None]:
    """Answer refused input with its places in the body; ``place`` is where the definition stands in it."""
    try:
        yield
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        raise RequestValidationError(
            [{**problem, "loc": ("body", *place, *problem["loc"])} for problem in problems]
        ) from error
    except UnknownSecrets as error:
        raise RequestValidationError(
            [
                {"type": "value_error", "loc": ("body", *place, *where), "msg": error.message, "input": secret_id}
                for where, secret_id in error.places
            ]
        ) from error
