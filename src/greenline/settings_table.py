"""Every setting as a table, for the command line and for the documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from greenline.settings import Settings


def settings_table() -> str:
    """A table in Markdown: variable, default, description with the unit and the reason."""
    lines = ["| Variable | Default | What it does |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        lines.append(f"| `GREENLINE_{name.upper()}` | {_show(default)} | {field.description} |")
    return "\n".join(lines)


def _show(default: Any) -> str:
    if default is None or default in ((), {}, ""):
        return ""
    if isinstance(default, SecretStr):
        return "(a secret)"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`"
    if isinstance(default, dict):
        return f"`{json.dumps(default)}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default.as_posix() if isinstance(default, Path) else default}`"
