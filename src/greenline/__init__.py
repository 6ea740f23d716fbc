"""Self-hosted AI agents on WhatsApp."""
