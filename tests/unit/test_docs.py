"""The documents lead where they say, and the first page knows them all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def text_of(document: Path) -> str:
    return CODE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """Where links can lead in a document, as forges name its headings."""
    headings = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text_of(document)))
    return {heading.strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(text_of(document)):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        place = (document.parent / path).resolve() if path else document
        assert place.exists(), link
        assert place.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(place), link


def test_the_first_page_names_every_document() -> None:
    named = set(LINK.findall(text_of(ROOT / "README.md")))
    assert {f"docs/{document.name}" for document in (ROOT / "docs").glob("*.md")} <= named


EVENTS = re.compile(r"^\| (`[^|]+`) \|", re.MULTILINE)


def alarming() -> Iterator[str]:
    """The events that the server logs as more than information; the emulator is no part of it."""
    for source in (ROOT / "src" / "greenline").rglob("*.py"):
        if "emulator" in source.parts:
            continue
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(ast.Attribute(ast.Name("log"), "warning" | "error" | "exception"), [event, *_]):
                    assert isinstance(event, ast.Constant), f"{source}:{node.lineno}: an event has one name"
                    yield str(event.value)


def test_the_operator_finds_each_event_that_is_worth_a_look_and_what_to_do_about_it() -> None:
    section = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").split("\n## What the log says\n")[1]
    rows = EVENTS.findall(section.split("\n## ")[0])
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == set(alarming())
