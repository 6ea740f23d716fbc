"""Tools of MCP servers: which servers there are, what they offer, and how a call runs (reference: MCP servers)."""
