"""Webhooks as Meta signs them."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import httpx2


async def post_signed(
    http: httpx2.AsyncClient, secret: str, waba_id: str, phone_number_id: str, **value: Any
) -> None:
    """Deliver a change of ``messages``. Raises on anything but success."""
    change = {"field": "messages", "value": {"metadata": {"phone_number_id": phone_number_id}, **value}}
    body = {"object": "whatsapp_business_account", "entry": [{"id": waba_id, "changes": [change]}]}
    content = json.dumps(body).encode()
    signature = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
    headers = {"x-hub-signature-256": f"sha256={signature}"}
    (await http.post("/webhooks/whatsapp", content=content, headers=headers)).raise_for_status()
