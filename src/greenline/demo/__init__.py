"""The demo: a shop's agent on an emulated WhatsApp, on one machine, offline."""
