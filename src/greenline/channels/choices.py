"""How a choice that a person tapped is written: in the transcript, and for the model."""

from __future__ import annotations


def chosen(title: str, choice_id: str, what: str = "Button") -> str:
    """What was chosen, and by which id the agent had offered it where that says more than the title."""
    identified = f" (id: {choice_id})" if choice_id and choice_id != title else ""
    return f"[{what}: {title or choice_id or 'unnamed'}{identified if title else ''}]"
