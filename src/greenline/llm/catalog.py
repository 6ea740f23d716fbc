"""Which endpoint serves a model name of the reference API.

1. ``GREENLINE_LLM_MAP`` names it: ``{"gemini-2.5-flash": "ollama:llama3.2"}``, or every model by ``"*"``.
2. Its own provider has a key in the environment.
3. Another provider has a key: that provider's default model answers instead.
4. Nobody has a key: the offline model answers.

Whoever answers is reported as ``producing_llm``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from greenline.errors import ConfigurationError
from greenline.settings import Settings

OFFLINE: Final = "offline"


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """An OpenAI-compatible service. ``key`` is the environment variable that its own SDK reads."""

    base_url: str | None
    key: str | None
    default_model: str
    prefixes: tuple[str, ...] = ()


PROVIDERS: Final[Mapping[str, ProviderInfo]] = {
    "openai": ProviderInfo(None, "OPENAI_API_KEY", "gpt-4.1-mini", ("gpt-", "o1", "o3", "o4", "chatgpt-")),
    "anthropic": ProviderInfo("https://api.anthropic.com/v1/", "ANTHROPIC_API_KEY", "claude-haiku-4-5", ("claude-",)),
    "gemini": ProviderInfo(
        "https://generativelanguage.googleapis.com/v1beta/openai/", "GEMINI_API_KEY", "gemini-2.5-flash", ("gemini-",)
    ),
    "groq": ProviderInfo("https://api.groq.com/openai/v1", "GROQ_API_KEY", "llama-3.3-70b-versatile"),
    "xai": ProviderInfo("https://api.x.ai/v1", "XAI_API_KEY", "grok-3-mini", ("grok-",)),
    "ollama": ProviderInfo("http://localhost:11434/v1", None, "llama3.2"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A model at a provider. ``name`` is what ``producing_llm`` says."""

    provider: str
    model: str
    name: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """The rules above, over the settings and the keys of one process."""

    mapping: Mapping[str, str]
    base_urls: Mapping[str, str]
    keys: Mapping[str, str] = field(repr=False)
    order: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str]) -> Catalog:
        """The catalog of a process. Raises `ConfigurationError` for a mapping that names no known provider."""
        keys = {name: environ[info.key] for name, info in PROVIDERS.items() if info.key and environ.get(info.key)}
        catalog = cls(settings.llm_map, settings.llm_base_urls, keys, settings.llm_backups)
        for target in settings.llm_map.values():
            catalog.place_of(target)
        return catalog

    def place_of(self, target: str) -> Place:
        """The place of a ``provider:model``."""
        provider, colon, model = target.partition(":")
        if provider == OFFLINE:
            return Place(OFFLINE, OFFLINE, OFFLINE)
        if not colon or not model or (provider not in PROVIDERS and provider not in self.base_urls):
            known = ", ".join([*PROVIDERS, *self.base_urls, OFFLINE])
            raise ConfigurationError(f"GREENLINE_LLM_MAP: {target!r} is no provider:model. Providers: {known}.")
        return Place(provider, model, target)

    def find(self, name: str) -> Place:
        """Where the model ``name`` of the reference API is served."""
        target = self.mapping.get(name) or self.mapping.get("*")
        if target:
            return self.place_of(target)
        if name == OFFLINE or not self.keys:
            return Place(OFFLINE, OFFLINE, OFFLINE)
        own = next((p for p, info in PROVIDERS.items() if info.prefixes and name.startswith(info.prefixes)), None)
        if own is not None and own in self.keys:
            return Place(own, name, name)
        other = next(provider for provider in PROVIDERS if provider in self.keys)
        model = PROVIDERS[other].default_model
        return Place(other, model, model)

    def backups(self) -> tuple[str, ...]:
        """The models that take over by default: those of the setting, else one of each provider with a key."""
        return self.order or tuple(
            PROVIDERS[provider].default_model for provider in PROVIDERS if provider in self.keys
        )

    def base_url(self, provider: str) -> str | None:
        """The base URL of a provider."""
        return self.base_urls.get(provider) or (PROVIDERS[provider].base_url if provider in PROVIDERS else None)
