"""WhatsApp calls (Meta: Calling API): a pure state machine, and what drives it between Meta, media and the agent."""
