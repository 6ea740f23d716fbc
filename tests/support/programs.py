"""Programs beside Python that some tests drive, and what one does where they are missing."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Final

CHROMIUM: Final = Path("/usr/bin/chromium")
NODE_MODULES: Final = Path(__file__).parents[1] / "js" / "node_modules"
JS_CLIENT: Final = NODE_MODULES / "@elevenlabs" / "client" / "dist" / "lib.iife.js"


def missing_programs() -> dict[str, str]:
    """By the mark of the tests that need it: what is missing and how to get it. The same list as ``.ci/tools``."""
    missing = {}
    if not CHROMIUM.exists():
        missing["chromium"] = f"there is no {CHROMIUM} (Debian: apt-get install chromium)"
    elif not _loads("libatomic.so.1"):
        missing["chromium"] = "Playwright's Node needs libatomic (Debian: apt-get install libatomic1)"
    if not JS_CLIENT.exists():
        missing["javascript"] = "the JavaScript client is not installed (Debian: apt-get install npm; then make test)"
    return missing


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
