"""Makes the models of a server from its settings and the keys in its environment."""

from __future__ import annotations

from collections.abc import Mapping

import httpx2

from greenline.llm.cascade import CUSTOM, Endpoint, Models
from greenline.llm.catalog import OFFLINE, Catalog
from greenline.llm.errors import ModelError
from greenline.llm.models import CustomLlm, ModelRequest, Provider
from greenline.llm.offline import OfflineModel
from greenline.llm.openai import OpenAIProvider
from greenline.settings import Settings


class Endpoints:
    """Finds the endpoint of a model name and keeps its connections.

    ``outbound`` carries requests to an agent's own endpoint: it goes through the outbound guard.
    """

    def __init__(self, catalog: Catalog, outbound: httpx2.AsyncClient, *, seconds: float) -> None:
        self._catalog = catalog
        self._outbound = outbound
        self._seconds = seconds
        self._offline = OfflineModel()
        self._providers: dict[str, OpenAIProvider] = {}

    def resolve(self, name: str, request: ModelRequest) -> Endpoint:
        """Raises `ModelError` for a custom model without an endpoint."""
        if name == CUSTOM:
            return self._custom(request.custom_llm)
        place = self._catalog.find(name)
        if place.provider == OFFLINE:
            return Endpoint(self._offline, OFFLINE, OFFLINE)
        return Endpoint(self._provider(place.provider), place.model, place.name)

    async def aclose(self) -> None:
        """Close all connections."""
        for provider in self._providers.values():
            await provider.aclose()
        await self._outbound.aclose()

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            self._providers[name] = OpenAIProvider(
                api_key=self._catalog.keys.get(name), base_url=self._catalog.base_url(name), seconds=self._seconds
            )
        return self._providers[name]

    def _custom(self, custom: CustomLlm | None) -> Endpoint:
        if custom is None:
            raise ModelError("configuration", "the agent uses custom-llm but has no custom_llm.url")
        if custom.api_type != "chat_completions":
            raise ModelError(
                "configuration", f"custom_llm.api_type {custom.api_type} is not served; use chat_completions"
            )
        provider = OpenAIProvider(
            api_key=custom.api_key,
            base_url=custom.url,
            headers=custom.headers,
            query={"api-version": custom.api_version} if custom.api_version else None,
            http=self._outbound,
            seconds=self._seconds,
        )
        return Endpoint(provider, custom.model_id or CUSTOM, CUSTOM)


def build_models(
    settings: Settings, environ: Mapping[str, str], outbound: httpx2.AsyncClient
) -> tuple[Models, Endpoints]:
    """The models, and the endpoints to close at the end. Raises `ConfigurationError` for a wrong mapping."""
    catalog = Catalog.of(settings, environ)
    endpoints = Endpoints(catalog, outbound, seconds=settings.llm_timeout_seconds)
    return Models(endpoints.resolve, catalog.backups(), seconds=settings.llm_timeout_seconds), endpoints
