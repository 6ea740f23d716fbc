"""The server is killed while it takes what Meta tells: `support.killing` tells what must hold."""

from pathlib import Path

import pytest

from greenline.checkpoints import NAMES
from support.killing import kill_at


@pytest.mark.parametrize("point", [name for name in NAMES if not name.startswith(("turn.", "sender."))])
async def test_killed_at(point: str, dsn: str, tmp_path: Path) -> None:
    await kill_at(point, dsn, tmp_path)
