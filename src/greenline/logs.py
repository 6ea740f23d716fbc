"""Logs: one event a line on standard error, for machines (JSON) or for people. No bodies, no secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal

import orjson
import structlog

SECRET_NAMES: Final = re.compile(r"token|secret|password|api_key|authorization|cookie|dsn", re.IGNORECASE)
SECRET_VALUES: Final = re.compile(r"\b(gl_[\w-]{16,}|EAA\w{16,}|sk-[\w-]{16,})|(?<=://)[^/@\s]+:[^/@\s]+(?=@)")
"""Our API keys, Meta's tokens, providers' keys, and user and password of a URL, wherever a text quotes them."""
MASK: Final = "***"
QUIET: Final = ("uvicorn.access", "uvicorn.error", "httpx2", "httpcore2", "openai", "asyncio")
"""Loggers of libraries that tell every request or step; their warnings are kept."""
SILENT: Final = ("mcp", "client", "asyncpg.pool")
"""Loggers whose news we tell ourselves: those of the MCP SDK tell addresses and messages with what they hold, that of
asyncpg has a trace of calls for each connection that a pool can't make ahead while the database is away."""


def configure_logging(level: str, style: Literal["json", "console"]) -> None:
    """Send our events and those of libraries to standard error, from ``level`` (``info``...) on."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, mask_secrets]
    if style == "json":
        last.append(structlog.processors.JSONRenderer(serializer=_dump))
    else:
        last.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _name_logger],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def mask_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values whose name or shape is that of a secret."""
    for name, value in event.items():
        if name != "event" and SECRET_NAMES.search(name) and isinstance(value, str | bytes):
            event[name] = MASK
        elif isinstance(value, str):
            event[name] = SECRET_VALUES.sub(MASK, value)
    return event


def _name_logger(logger: Any, _: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["logger"] = event["_record"].name if "_record" in event else getattr(logger, "name", None)
    return event


def _dump(event: Any, default: Any = None, **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
