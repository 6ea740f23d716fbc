"""What the clients of model APIs have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator

from greenline.llm.models import ModelRequest, StreamEvent
from greenline.llm.sdk import SdkClient


class Endpoint(ABC):
    """One address of an API and all of its models; a `greenline.llm.models.Provider`."""

    def __init__(self, client: SdkClient) -> None:
        self._client = client

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._client.address.url or 'OpenAI'}>"

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._client.aclose()

    @abstractmethod
    def stream(self, request: ModelRequest, model: str) -> AsyncGenerator[StreamEvent, None]:
        """Deltas as they come (an empty one for the first sign of anything else), one `ModelReply` last.

        Raises `greenline.llm.errors.ModelError` only.
        """
        ...
