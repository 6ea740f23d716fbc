"""Tenants of the server and their API keys."""
