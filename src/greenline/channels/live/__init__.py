"""Live conversations: sessions that one process holds, on a socket or a call."""
