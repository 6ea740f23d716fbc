"""Why something did not arrive."""

from __future__ import annotations


class NotTaken(Exception):
    """Who was sent something did not take it. ``passing`` if they may later, and not before ``seconds``."""

    def __init__(self, reason: str, *, passing: bool, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.passing = passing
        self.seconds = seconds
