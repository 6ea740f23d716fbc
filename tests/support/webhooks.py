"""Webhooks of the stand-in's app, as Meta signs them."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import httpx2

from support.graph_stand_in import APP_SECRET, NUMBER, WABA


async def deliver(http: httpx2.AsyncClient, field: str = "messages", **value: Any) -> None:
    """Deliver a change of the number. Raises on anything but success."""
    change = {"field": field, "value": {"metadata": {"phone_number_id": NUMBER}, **value}}
    body = {"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": [change]}]}
    content = json.dumps(body).encode()
    signature = hmac.new(APP_SECRET.encode(), content, hashlib.sha256).hexdigest()
    headers = {"x-hub-signature-256": f"sha256={signature}"}
    (await http.post("/webhooks/whatsapp", content=content, headers=headers)).raise_for_status()
