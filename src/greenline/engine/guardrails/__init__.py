"""The guardrails of an agent, applied: what they ask of a judge, what it says, and what comes of that in a turn."""
