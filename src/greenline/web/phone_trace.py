"""The pane that shows what happens behind the phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from nicegui import ui

from greenline.web.parts import Tag, box, pretty
from greenline.web.phone_screen import FOLLOW_END
from greenline.web.trace import Step

SHOWN: Final = 300


@dataclass(slots=True)
class _Row:
    step: Step
    element: ui.element
    gap: Tag


class Trace:
    """Steps with the time between them, newest last; each opens its details."""

    def __init__(self, timezone: tzinfo) -> None:
        self._timezone = timezone
        self._rows: list[_Row] = []
        with box("gl-trace"):
            Tag("div", "Behind it", "gl-title")
            Tag(
                "div",
                "Every step, and the time since the one before. Tap one to open it.",
                "gl-legend",
            )
            self._list = box("gl-steps").props("role=log aria-label='What happens'")
            self._empty = Tag("div", "Write something on the phone, and watch.", "gl-empty")
            self._empty.move(self._list)
        ui.run_javascript(FOLLOW_END % self._list.html_id)

    def clear(self) -> None:
        """Show nothing: another chat comes."""
        for row in self._rows:
            row.element.delete()
        self._rows.clear()
        self._empty.set_visibility(True)

    def show(self, steps: Sequence[Step]) -> None:
        """Bring the list up to date; ``steps`` are in order."""
        wanted = list(steps)[-SHOWN:]
        keep = {step.key for step in wanted}
        for row in [row for row in self._rows if row.step.key not in keep]:
            row.element.delete()
            self._rows.remove(row)
        known = {row.step.key for row in self._rows}
        for place, step in enumerate(wanted):
            if step.key not in known:
                row = self._row(step)
                if place < len(self._rows):
                    row.element.move(target_index=place + 1)  # after the element that stands for an empty list
                self._rows.insert(place, row)
        self._empty.set_visibility(not self._rows)
        self._show_gaps()

    def _row(self, step: Step) -> _Row:
        with self._list, box(f"gl-step{' bad' if step.bad else ''}", "details") as element:
            with box(tag="summary"):
                moment = datetime.fromtimestamp(step.at, self._timezone)
                Tag("span", f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}", "gl-step-time")
                gap = Tag("span", "", "gl-step-gap")
                with box(f"gl-step-title side-{step.side}", "span"):
                    Tag("span", step.title)
                    if step.note:
                        Tag("span", step.note, "gl-step-note")
            detail = Tag("pre", "", "gl-detail")
        # The payload travels when somebody looks.
        element.on("toggle", lambda: detail.set_text(pretty(dict(step.detail))))
        return _Row(step, element, gap)

    def _show_gaps(self) -> None:
        before: float | None = None
        for row in self._rows:
            text = "" if before is None else _gap(row.step.at - before)
            if row.gap.text != text:
                row.gap.set_text(text)
            before = row.step.at


def _gap(seconds: float) -> str:
    milliseconds = max(0.0, seconds * 1000)
    if milliseconds < 1000:
        return f"+{milliseconds:.0f} ms"
    return f"+{seconds:.1f} s" if seconds < 100 else f"+{seconds / 60:.0f} min"
