"""Makes the models of a server from its settings and the keys in its environment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import httpx2

from greenline.llm.cascade import CUSTOM, Endpoint, Models
from greenline.llm.catalog import OFFLINE, Catalog, info_at
from greenline.llm.custom import custom_provider
from greenline.llm.documents import ReadsDocuments, own_api
from greenline.llm.errors import ModelError
from greenline.llm.models import ModelRequest
from greenline.llm.offline import OfflineModel
from greenline.llm.openai import ChatCompletions
from greenline.llm.sdk import Address, SdkClient, load_sdk
from greenline.settings import Settings


class Endpoints:
    """Finds the endpoint of a model name and keeps its connections.

    ``outbound`` carries requests to an agent's own endpoint: it goes through the outbound guard.
    """

    def __init__(
        self, catalog: Catalog, outbound: httpx2.AsyncClient, *, seconds: float, offline_script: str = ""
    ) -> None:
        self._catalog = catalog
        self._outbound = outbound
        self._seconds = seconds
        self._offline = OfflineModel(offline_script)
        self._providers: dict[str, ChatCompletions | ReadsDocuments] = {}

    def resolve(self, name: str, request: ModelRequest) -> Endpoint:
        """The endpoint of ``name``. Raises `greenline.llm.errors.ModelError` for a custom model that can't be had."""
        if name == CUSTOM and request.custom_llm_fault:
            raise ModelError("configuration", request.custom_llm_fault)
        if name == CUSTOM:
            provider = custom_provider(request.custom_llm, self._outbound, seconds=self._seconds)
            own_name = request.custom_llm.model_id if request.custom_llm else None
            return Endpoint(provider, own_name or CUSTOM, CUSTOM)
        place = self._catalog.find(name)
        if place.provider == OFFLINE:
            return Endpoint(self._offline, OFFLINE, OFFLINE)
        info = info_at(place.provider, place.model)
        return Endpoint(self._provider(place.provider), place.model, place.name, info.context if info else None)

    async def warm(self) -> None:
        """Load what a provider with a key needs before a person waits for its first token."""
        if self._catalog.keys or self._catalog.base_urls:
            await load_sdk()

    async def aclose(self) -> None:
        """Close all connections."""
        for provider in self._providers.values():
            await provider.aclose()
        await self._outbound.aclose()

    def _provider(self, name: str) -> ChatCompletions | ReadsDocuments:
        if name not in self._providers:
            self._providers[name] = self._make(name)
        return self._providers[name]

    def _make(self, name: str) -> ChatCompletions | ReadsDocuments:
        key, traits = self._catalog.keys.get(name), partial(self._catalog.traits, name)
        client = SdkClient(Address(self._catalog.base_url(name), key), seconds=self._seconds)
        plain = ChatCompletions(client, traits=traits)
        if key is None or self._catalog.is_elsewhere(name):
            return plain
        own = own_api(name, key, traits=traits, seconds=self._seconds)
        return ReadsDocuments(plain, own) if own else plain


def build_models(
    settings: Settings, environ: Mapping[str, str], outbound: httpx2.AsyncClient
) -> tuple[Models, Endpoints]:
    """The models, and the endpoints to close at the end. Raises `ConfigurationError` for a wrong mapping."""
    catalog = Catalog.of(settings, environ)
    seconds = settings.llm_timeout_seconds
    endpoints = Endpoints(catalog, outbound, seconds=seconds, offline_script=settings.llm_offline_script)
    return Models(endpoints.resolve, catalog.backups(), seconds=seconds), endpoints
