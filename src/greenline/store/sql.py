"""SQL lives in ``.sql`` files beside the code that runs it.

A file holds named statements, each with a header in comments::

    -- name: get_agent
    -- One agent of a workspace.
    select ... where workspace_id = $1 and id = $2;

A statement on tenant data takes the workspace as a parameter and names ``workspace_id``. One that serves all
workspaces says so and why, in a header line ``-- scope: system, <reason>``; a test reads these headers.
"""

from __future__ import annotations

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)[ \t]*$", re.MULTILINE)


class Statements:
    """The statements of one file, by name: ``sql["get_agent"]``."""

    def __init__(self, statements: dict[str, str], source: str) -> None:
        self._statements = statements
        self._source = source

    def __getitem__(self, name: str) -> str:
        return self._statements[name]

    def __iter__(self) -> object:
        return iter(self._statements)

    def __repr__(self) -> str:
        return f"<Statements {self._source}: {', '.join(self._statements)}>"


def parse_sql(text: str) -> dict[str, str]:
    """Statement by name, headers included. Raises ``ValueError`` on a name given twice."""
    marks = list(_NAME.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    found: dict[str, str] = {}
    for mark, end in zip(marks, ends, strict=True):
        name = mark.group(1)
        if name in found:
            raise ValueError(f"the statement {name} is there twice")
        found[name] = text[mark.start() : end].strip().rstrip(";")
    return found


def load_sql(package: str | None, file: str) -> Statements:
    """The statements of ``file`` in ``package`` (a module's ``__package__``)."""
    assert package is not None  # noqa: S101 - a module that loads SQL is in a package
    text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    return Statements(parse_sql(text), f"{package}/{file}")
