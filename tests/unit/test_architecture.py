"""Rules of the house that a reader could break without noticing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from greenline.settings_table import settings_table
from greenline.store.sql import parse_sql

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "greenline"
MODULES = sorted(SOURCE.rglob("*.py"))
FLOORS = (
    {"settings", "errors", "clock", "ids", "text", "json_body", "checkpoints", "logs", "reader", "settings_table"},
    {"store"},
    {"agents", "conversations", "workspaces", "llm", "tools", "knowledge", "speech"},
    {"engine", "insight"},
    {"api", "channels", "web"},
    {"server", "serving", "doctor", "demo", "cli", "__main__"},
)
SELF_CONTAINED = "emulator"
MAX_LINES = 700
STATEMENT = re.compile(
    r"\s*(select\s.+\sfrom|insert\s+into|update\s+\w+\s+set|delete\s+from)\s", re.IGNORECASE | re.DOTALL
)

TABLE = re.compile(r"^create table (\w+) ?\((.*?)^\)", re.IGNORECASE | re.MULTILINE | re.DOTALL)
SYSTEM_SCOPE = re.compile(r"^-- scope: system, \S.{7,}", re.MULTILINE)


def room_of(module: Path) -> str:
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


def floor_of(room: str) -> int:
    for floor, rooms in enumerate(FLOORS):
        if room in rooms:
            return floor
    raise AssertionError(f"the room {room} has no floor: add it to FLOORS")


def imported_rooms(module: Path) -> Iterator[str]:
    """Rooms of greenline that a module imports, also inside of functions and for types only."""
    for node in ast.walk(ast.parse(module.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
            if node.module == "greenline":
                names = [f"greenline.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{module} imports relatively: write the whole name")
        yield from (name.split(".")[1] for name in names if name.startswith("greenline."))


@cache
def room_edges() -> dict[str, set[str]]:
    edges: dict[str, set[str]] = {}
    for module in MODULES:
        room = room_of(module)
        if room != "__init__":
            edges.setdefault(room, set()).update(set(imported_rooms(module)) - {room})
    return edges


def test_imports_point_downwards() -> None:
    """A room that imports one above it can't be understood, tested or replaced without it."""
    upwards = [
        (room, other)
        for room, others in room_edges().items()
        for other in others
        if SELF_CONTAINED not in (room, other) and floor_of(other) > floor_of(room)
    ]
    assert upwards == []


def test_rooms_of_a_floor_form_no_circle() -> None:
    """Two rooms that need each other are one room."""
    TopologicalSorter(room_edges()).prepare()


def test_channels_form_no_circle() -> None:
    """A call holds a live conversation: that knows nothing of calls, nor of any other channel that holds one."""
    channels = {path.name for path in (SOURCE / "channels").iterdir() if path.is_dir()}
    edges = {
        name: {
            other
            for module in (SOURCE / "channels" / name).rglob("*.py")
            for other in re.findall(r"^ *from greenline\.channels\.(\w+)", module.read_text(), re.MULTILINE)
            if other in channels - {name}
        }
        for name in channels
    }
    assert edges["whatsapp"]
    TopologicalSorter(edges).prepare()


def test_the_emulator_stands_alone() -> None:
    """It is a product of its own and must not learn from the server what Meta does: both would be wrong together."""
    edges = room_edges()
    assert edges.get(SELF_CONTAINED, set()) == set()
    assert [room for room, others in edges.items() if SELF_CONTAINED in others and room != "cli"] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(SOURCE)))
def test_a_module_fits_on_a_few_screens(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= MAX_LINES


def test_rooms_do_not_print() -> None:
    """What a server has to say goes to its log; the command line has its own words."""
    calls = [
        f"{module.relative_to(SOURCE)}:{node.lineno}"
        for module in MODULES
        if room_of(module) != "cli"
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


def test_broad_excepts_record_or_give_a_reason() -> None:
    """An except that takes everything hides faults, unless it logs them or its line says why it may."""
    silent = []
    for module in MODULES:
        lines = module.read_text().splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if not isinstance(node, ast.ExceptHandler) or not _takes_everything(node):
                continue
            reason = re.search(r"# noqa: BLE001 - \S.{7,}", lines[node.lineno - 1])
            raised = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            logged = any(isinstance(inner, ast.Attribute) and inner.attr == "exception" for inner in ast.walk(node))
            if not (reason or raised or logged):
                silent.append(f"{module.relative_to(SOURCE)}:{node.lineno}")
    assert silent == []


def test_waits_run_in_the_task_that_waits() -> None:
    """Python 3.11's `asyncio.wait_for` makes a task for each, and may keep a cancellation to itself: what is stopped
    in the moment in which it is woken goes on. `asyncio.timeout` does neither."""
    calls = [
        f"{module.relative_to(SOURCE)}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "asyncio.wait_for"
    ]
    assert calls == []


def _takes_everything(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (
        isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
    )


def statements() -> Iterator[tuple[str, str]]:
    for file in sorted(SOURCE.rglob("*.sql")):
        if file.parent.name != "migrations":
            for name, text in parse_sql(file.read_text()).items():
                yield f"{file.relative_to(SOURCE)}: {name}", text


def tenant_tables() -> list[str]:
    """Tables whose rows are of a workspace, and that of the workspaces."""
    migrations = "\n".join(file.read_text() for file in sorted((SOURCE / "store" / "migrations").glob("*.sql")))
    return ["workspace", *(name for name, columns in TABLE.findall(migrations) if "workspace_id" in columns)]


OF_TENANTS = re.compile(rf"\b(?:from|join|into|update|delete from)\s+({'|'.join(tenant_tables())})\b")


@pytest.mark.parametrize("statement", [text for _, text in statements()], ids=[name for name, _ in statements()])
def test_a_statement_names_the_workspace_or_says_why_not(statement: str) -> None:
    """A row of one tenant must never be shown to another: whoever writes a statement has thought of it."""
    body = re.sub(r"--.*", "", statement)
    if OF_TENANTS.search(body):
        assert "workspace_id" in body or SYSTEM_SCOPE.search(statement)


def test_sql_is_in_sql_files() -> None:
    """Statements in strings escape the rule of the workspace, and the eye."""
    found = [
        f"{module.relative_to(SOURCE)}:{node.lineno}"
        for module in MODULES
        if room_of(module) != SELF_CONTAINED
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value)
    ]
    assert found == []


def test_every_setting_is_in_the_documentation() -> None:
    """docs/operations.md holds the table that `greenline settings` prints, word for word."""
    assert settings_table() in (ROOT / "docs" / "operations.md").read_text()


def test_every_log_event_that_operators_are_told_of_is_logged() -> None:
    """docs/operations.md names events; one that was renamed in the code would be an alarm that never rings."""
    section = (ROOT / "docs" / "operations.md").read_text().split("## What the log says")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", row)}
    source = "\n".join(path.read_text() for path in MODULES)
    assert named
    assert {name for name in named if f'"{name}"' not in source} == set()
