"""Tokens of a reply, as the journal names them."""

from __future__ import annotations

from greenline.llm.models import ModelReply


def usage_of(reply: ModelReply) -> dict[str, int]:
    """The counts of one generation."""
    usage = reply.usage
    return {
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
    }
