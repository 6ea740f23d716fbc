"""What can go wrong with models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from greenline.llm.models import Attempt

Kind: TypeAlias = Literal[
    "auth", "rate_limit", "bad_request", "overloaded", "timeout", "empty", "connection", "refused", "configuration"
]
LASTING: Final[frozenset[Kind]] = frozenset({"auth", "bad_request", "refused", "configuration"})
"""Kinds that the same request to the same model would meet again."""


class ModelError(Exception):
    """A model endpoint did not answer as it should. The text is for an operator and holds no secret."""

    def __init__(self, kind: Kind, text: str) -> None:
        self.kind: Kind = kind
        super().__init__(f"{kind}: {text}")

    @property
    def retryable(self) -> bool:
        """Whether the same request to the same model may succeed a moment later."""
        return self.kind not in LASTING


class AllModelsFailed(Exception):
    """No model of the cascade answered; ``attempts`` tells what each one did."""

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        self.attempts = tuple(attempts)
        super().__init__("; ".join(f"{attempt.model}: {attempt.error}" for attempt in attempts))
