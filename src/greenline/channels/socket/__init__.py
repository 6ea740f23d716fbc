"""Conversations over WebSockets: the client's own, and the monitor that watches one."""
