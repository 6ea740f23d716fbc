"""What a model takes, where OpenAI-compatible endpoints differ from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NO_SIGNATURE: Final = "skip_thought_signature_validator"
"""Google's own word for a tool call whose signature was not kept (Gemini API: Thought signatures)."""


@dataclass(frozen=True, slots=True)
class Traits:
    """How to ask one model. The defaults suit an endpoint of which nothing is known but its dialect."""

    images: bool = True
    documents: bool = False
    """Takes PDF files in the protocol that it is asked in; other models are told the name of the file."""
    parallel_option: bool = False
    """Knows ``parallel_tool_calls``. The reasoning models of the o-series refuse it."""
    completion_tokens: bool = False
    """Wants ``max_completion_tokens``; OpenAI's newer models refuse ``max_tokens``."""
    sampling: bool = True
    """Takes ``temperature`` at any effort of reasoning."""
    signed_calls: bool = False
    """Refuses its own earlier tool calls without a signature (Gemini 3: Thought signatures)."""


DEFAULT = Traits()
