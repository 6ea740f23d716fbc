"""``greenline serve``."""

from __future__ import annotations

from greenline.cli.options import DataDir, Host, Port, load_settings


def serve(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Run the server. It prints `ready http://HOST:PORT` when it answers, and leaves in order at SIGTERM."""
    settings = load_settings(host=host, port=port, data_dir=data_dir)

    from greenline.logs import configure_logging

    configure_logging(settings.log_level, settings.log_format)

    from greenline.serving import run

    run(settings)
