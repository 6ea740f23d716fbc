"""What the application makes of the routers."""

from __future__ import annotations

from pathlib import Path

from greenline.api.app import ROUTERS
from greenline.emulator.control import create_control
from greenline.emulator.meta import Meta
from greenline.server import create_app
from greenline.settings import Settings


def test_the_routes_are_made_once(tmp_path: Path) -> None:
    """They were made anew at the first request, which waited for a tenth of a second, and so did everybody else."""
    app = create_app(Settings(data_dir=tmp_path))
    made = [route for router in ROUTERS for route in router.routes]
    assert made
    assert [route for route in made if route not in app.routes] == []


def test_the_emulators_of_a_process_share_their_routes() -> None:
    one, other = (create_control(Meta()).router.routes for _ in range(2))
    assert [route for route in one if route in other and getattr(route, "path", "") == "/setup"] != []
