"""Meta's WhatsApp Cloud API in a box: for trying, testing and demonstrating, over loopback and without an account.

It imports nothing from the rest of the package and nothing imports it.
"""
