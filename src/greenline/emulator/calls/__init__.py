"""Calls: the relay that a business's media meets, the person at the other end, and what may be called when."""
