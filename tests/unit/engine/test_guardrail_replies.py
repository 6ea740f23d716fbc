"""A reply that is judged while it is given out."""

from __future__ import annotations

import time
from collections.abc import Callable

from greenline.engine.guardrails.replies import Streaming


def test_it_is_judged_sentence_by_sentence() -> None:
    asked: list[str] = []

    def ask(text: str, answered: Callable[[], None]) -> None:
        asked.append(text)
        answered()

    reply = Streaming(ask)
    for piece in ("Yes", ". We ", "do!! Rea", "lly", "?"):
        reply.delta(piece)
    assert asked == ["Yes. ", "Yes. We do!! "]


def test_thousands_of_points_hold_nobody_up() -> None:
    begun = time.process_time()
    Streaming(lambda text, answered: answered()).delta("…" * 40_000)
    assert time.process_time() - begun < 1.0
