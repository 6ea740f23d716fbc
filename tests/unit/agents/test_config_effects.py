"""A setting does something, or the documentation says that it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import greenline
from greenline.agents.config import ConversationConfig, PlatformSettings, Workflow
from greenline.agents.config.base import ConfigModel

SOURCE = Path(greenline.__file__).parent
DOCS = Path(__file__).parents[3] / "docs"
CONFIG = SOURCE / "agents" / "config"
HEADING = "## Settings of an agent without effect"
WORDS = {"knowledge_base", "start_procedure", "end_procedure", "elevenlabs"}
"""Tools and a value, named there with the settings that belong to them."""


def models_in(annotation: Any) -> Iterator[type[ConfigModel]]:
    if isinstance(annotation, type) and issubclass(annotation, ConfigModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def fields_of(model: type[ConfigModel], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The path of every field. A model within itself is not followed again."""
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        yield here
        for inner in models_in(field.annotation):
            if len(here) == len(set(here)):
                yield from fields_of(inner, here)


ROOTS: dict[str, type[ConfigModel]] = {
    "conversation_config": ConversationConfig,
    "platform_settings": PlatformSettings,
    "workflow": Workflow,
}
SETTINGS = {path for name, root in ROOTS.items() for path in fields_of(root, (name,))}


def names_read() -> set[str]:
    """What the server reads of anything: attributes, and keys written out; not where settings are declared."""
    modules = [path for path in SOURCE.rglob("*.py") if CONFIG not in path.parents and "emulator" not in path.parts]
    text = "\n".join(path.read_text(encoding="utf-8") for path in modules)
    return {*re.findall(r"\.([a-z_0-9]+)\b", text), *re.findall(r'"([a-z_0-9]+)"', text)}


def without_effect() -> set[tuple[str, ...]]:
    """The first columns of the tables that tell of settings without effect."""
    found = set()
    for page in DOCS.glob("*.md"):
        _, _, section = page.read_text(encoding="utf-8").partition(HEADING)
        for line in section.partition("\n## ")[0].splitlines():
            if line.startswith("| "):
                found |= {tuple(name.split(".")) for name in re.findall(r"`([a-z_0-9.]+)`", line.split("|")[1])}
    return found


def is_in(part: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return any(path[at : at + len(part)] == part for at in range(len(path) - len(part) + 1))


def test_every_setting_has_an_effect_or_is_documented_as_one_without() -> None:
    read, told = names_read(), without_effect()
    unread = (path for path in SETTINGS if path[-1] not in read)
    assert {".".join(path) for path in unread if not any(is_in(part, path) for part in told)} == set()


@pytest.mark.parametrize("part", sorted(without_effect()), ids=".".join)
def test_what_is_documented_as_without_effect_is_a_setting(part: tuple[str, ...]) -> None:
    assert part[-1] in WORDS or any(is_in(part, path) for path in SETTINGS)
