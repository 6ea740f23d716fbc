"""A shop outside of the server, and the tool by which an agent orders there: an effect that no transaction holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from greenline.llm.models import ToolSpec
from greenline.tools.models import ToolContext, ToolResult
from support.scripted import Answer, Request, answer
from support.wait import PATIENCE_SECONDS


@dataclass
class Shop:
    """Takes an order once under each key, like every service that knows idempotency keys. To be served `scripted`."""

    orders: dict[str, str] = field(default_factory=dict)
    """What was ordered, by key."""
    requests: Counter[str] = field(default_factory=Counter)
    """How often each key came."""

    def __call__(self, request: Request) -> Answer:
        key, item = request.json["key"], request.json["item"]
        self.requests[key] += 1
        assert self.orders.setdefault(key, item) == item
        return answer({"receipt": self.receipt(item)})

    def receipt(self, item: str) -> str:
        """The number of the first order of ``item``."""
        return str(list(self.orders.values()).index(item) + 1)


@dataclass(frozen=True)
class OrderTool:
    """Orders at the shop at ``url``."""

    url: str
    type: str = "webhook"
    has_effect: bool = True

    @property
    def spec(self) -> ToolSpec:
        item = {"type": "object", "properties": {"item": {"type": "string"}}}
        return ToolSpec("place_order", "Order something at the shop.", item)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        order = {"key": context.idempotency_key, "item": arguments["item"]}
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
            receipt = (await http.post(self.url, json=order)).json()["receipt"]
        return ToolResult(f"{order['item']}, receipt {receipt}")
