"""What can go wrong with models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from greenline.llm.models import Attempt

Kind: TypeAlias = Literal[
    "auth", "rate_limit", "bad_request", "overloaded", "timeout", "empty", "connection", "refused", "configuration"
]


class ModelError(Exception):
    """A model endpoint did not answer as it should. The text is for an operator and holds no secret."""

    def __init__(self, kind: Kind, text: str) -> None:
        self.kind = kind
        super().__init__(f"{kind}: {text}")


class AllModelsFailed(Exception):
    """No model of the cascade answered; ``attempts`` tells what each one did."""

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        self.attempts = tuple(attempts)
        super().__init__("; ".join(f"{attempt.model}: {attempt.error}" for attempt in attempts))
