"""What the demo keeps between two starts, so that the second one finds its number and its conversations again."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from greenline.errors import ConfigurationError


def _digits(length: int) -> str:
    return str(10 ** (length - 1) + secrets.randbelow(9 * 10 ** (length - 1)))


class DemoStateUnreadable(ConfigurationError):
    """The demo's file of ids and keys can't be read. `greenline demo --fresh` begins anew."""

    code = "demo_state_unreadable"


@dataclass(frozen=True)
class DemoState:
    """Ids and secrets of the emulated business and the key of the workspace."""

    app_id: str = field(default_factory=lambda: _digits(15))
    app_secret: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    verify_token: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)
    token: str = field(default_factory=lambda: "EAA" + secrets.token_urlsafe(32), repr=False)
    waba_id: str = field(default_factory=lambda: _digits(15))
    phone_number_id: str = field(default_factory=lambda: _digits(15))
    api_key: str = field(default_factory=lambda: "gl_" + secrets.token_urlsafe(32), repr=False)


def load_state(data_dir: Path) -> DemoState:
    """The state in ``data_dir``, made when there is none. Raises `DemoStateUnreadable`."""
    file = data_dir / "demo.json"
    if not file.exists():
        state = DemoState()
        data_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as output:
            json.dump(asdict(state), output)
        return state
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        return DemoState(**{name.name: str(known[name.name]) for name in fields(DemoState)})
    except (ValueError, KeyError, TypeError) as error:
        raise DemoStateUnreadable from error
