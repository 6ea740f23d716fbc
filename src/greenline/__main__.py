"""``python -m greenline``."""

from greenline.cli import main

main()
