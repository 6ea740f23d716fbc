"""Which endpoint serves a model name of the reference API, by the first rule that fits.

1. ``GREENLINE_LLM_MAP`` names it: ``{"gemini-2.5-flash": "ollama:llama3.2"}``, or every model by ``"*"``.
2. ``offline`` is the offline model.
3. The model's own provider has a key in the environment.
4. Another provider has a key: the default model of the first of them, in the order of `PROVIDERS`, answers instead.
5. Nobody has a key: the offline model answers.

Whoever answers is reported as ``producing_llm``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Final

from greenline.errors import ConfigurationError
from greenline.llm.traits import Traits
from greenline.settings import Settings

OFFLINE: Final = "offline"
_DATED: Final = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{2}-\d{4}|\d{2}-\d{2}|\d{3,4})$")
"""How the reference, and providers, mark a model of a certain day."""
_REASONING: Final = ("gpt-5", "gpt-6", "gpt-7", "o1", "o3", "o4")


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """An OpenAI-compatible service. ``keys`` are the environment variables that its own SDK reads, in its order."""

    base_url: str | None
    keys: tuple[str, ...]
    default_model: str
    prefixes: tuple[str, ...] = ()


PROVIDERS: Final[Mapping[str, ProviderInfo]] = {
    "openai": ProviderInfo(None, ("OPENAI_API_KEY",), "gpt-4.1-mini", ("gpt-", "o1", "o3", "o4", "chatgpt-")),
    "anthropic": ProviderInfo(
        "https://api.anthropic.com/v1/", ("ANTHROPIC_API_KEY",), "claude-haiku-4-5", ("claude-",)
    ),
    "gemini": ProviderInfo(
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "gemini-2.5-flash",
        ("gemini-",),
    ),
    "groq": ProviderInfo("https://api.groq.com/openai/v1", ("GROQ_API_KEY",), "llama-3.3-70b-versatile"),
    "xai": ProviderInfo("https://api.x.ai/v1", ("XAI_API_KEY",), "grok-3-mini", ("grok-",)),
    "ollama": ProviderInfo("http://localhost:11434/v1", (), "llama3.2"),
}


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens; None where it is not known. ``on`` is when it was read."""

    input: float
    output: float
    on: str
    read: float | None = None
    write: float | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model (``models.toml``). ``model`` is its name at its ``provider``."""

    name: str
    provider: str
    model: str
    context: int | None = None
    images: bool = True
    documents: bool = False
    reasons: bool = False
    price: Price | None = None


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
        """The catalog of a process.

        Raises `ConfigurationError` for a mapping that names no known provider, and for a key that can't be sent.
        """
        keys = read_keys({name: key_names(name) for name in (*PROVIDERS, *settings.llm_base_urls)}, environ)
        catalog = cls(settings.llm_map, settings.llm_base_urls, keys, settings.llm_backups)
        for target in settings.llm_map.values():
            catalog.place_of(target)
        return catalog

    def place_of(self, target: str) -> Place:
        """The place of a ``provider:model``. Raises `ConfigurationError` for what is none."""
        provider, colon, model = target.partition(":")
        if target == OFFLINE:
            return Place(OFFLINE, OFFLINE, OFFLINE)
        if not colon or not model or (provider not in PROVIDERS and provider not in self.base_urls):
            known = ", ".join(dict.fromkeys([*PROVIDERS, *self.base_urls]))
            raise ConfigurationError(
                f"GREENLINE_LLM_MAP: {target!r} is neither {OFFLINE} nor provider:model. Known providers: {known}. "
                "GREENLINE_LLM_BASE_URLS adds others."
            )
        return Place(provider, model, target)

    def find(self, name: str) -> Place:
        """Where the model ``name`` of the reference API is served."""
        target = self.mapping.get(name) or self.mapping.get("*")
        if target:
            return self.place_of(target)
        usable = [provider for provider in PROVIDERS if provider in self.keys]
        if name == OFFLINE or not usable:
            return Place(OFFLINE, OFFLINE, OFFLINE)
        own = home(name)
        if own is not None and own.provider in self.keys:
            return own
        default = PROVIDERS[usable[0]].default_model
        return Place(usable[0], default, default)

    def backups(self) -> tuple[str, ...]:
        """The models that take over by default: those of the setting, else one of each provider with a key."""
        return self.order or tuple(
            PROVIDERS[provider].default_model for provider in PROVIDERS if provider in self.keys
        )

    def base_url(self, provider: str) -> str | None:
        """The base URL of a provider; None is OpenAI's own."""
        return self.base_urls.get(provider) or (PROVIDERS[provider].base_url if provider in PROVIDERS else None)

    def is_elsewhere(self, provider: str) -> bool:
        """Whether something answers in the place of ``provider``, such as a gateway, or it is an own one."""
        return provider in self.base_urls or provider not in PROVIDERS

    def traits(self, provider: str, model: str) -> Traits:
        """How ``provider`` wants its ``model`` to be asked for chat completions."""
        if self.is_elsewhere(provider):
            return Traits()
        info = info_at(provider, model)
        # A name that is not known yet is newer than those that are: it reasons, and refuses a temperature.
        thinks = info.reasons if info else provider == "anthropic" or model.startswith(_REASONING)
        return Traits(
            images=info.images if info else True,
            documents=info.documents if info else False,
            parallel_option=provider == "anthropic" or (provider == "openai" and model.startswith("gpt-")),
            completion_tokens=provider == "openai",
            sampling=not thinks,
            signed_calls=provider == "gemini" and not model.startswith(("gemini-1", "gemini-2")),
        )


def key_names(provider: str) -> tuple[str, ...]:
    """The environment variables of a provider's key; ``MY_HOST_API_KEY`` for an own one named ``my-host``."""
    if provider in PROVIDERS:
        return PROVIDERS[provider].keys
    return (re.sub(r"\W", "_", provider).upper() + "_API_KEY",)


def read_keys(names: Mapping[str, Sequence[str]], environ: Mapping[str, str]) -> dict[str, str]:
    """The keys of providers: of each the first of its variables that is set.

    What files bring along around a key, such as a line break, is passed over. Raises `ConfigurationError`, which
    repeats no key, for one that HTTP does not carry.
    """
    keys = {}
    for provider, variables in names.items():
        name = next((name for name in variables if environ.get(name, "").strip()), None)
        if name is None:
            continue
        keys[provider] = environ[name].strip()
        if not (keys[provider].isascii() and keys[provider].isprintable()):
            raise ConfigurationError(
                f"{name} has characters that HTTP does not carry, such as a line break. Set it anew, in one line."
            )
    return keys


def home(name: str) -> Place | None:
    """Who serves a model of the reference API by that name, whether a key is there or not."""
    info = known_models().get(name)
    if info is not None:
        return Place(info.provider, info.model, name)
    family = known_models().get(_DATED.sub("", name))
    if family is not None:
        return Place(family.provider, name.replace("@", "-"), name)
    for provider, known in PROVIDERS.items():
        if known.prefixes and name.startswith(known.prefixes):
            return Place(provider, name.replace("@", "-"), name)
    return None


def info_at(provider: str, model: str) -> ModelInfo | None:
    """What is known of a model by its name at the provider."""
    names = (model, _DATED.sub("", model))
    candidates = (info for info in known_models().values() if info.provider == provider)
    return next((info for info in candidates if info.model in names or info.name in names), None)


@cache
def known_models() -> Mapping[str, ModelInfo]:
    """``models.toml`` by the names of the reference."""
    text = resources.files(__package__ or "").joinpath("models.toml").read_text(encoding="utf-8")
    return {row["name"]: _info(row) for row in tomllib.loads(text)["models"]}


def _info(row: dict[str, Any]) -> ModelInfo:
    price = row.pop("price", None)
    return ModelInfo(**{"model": row["name"], **row}, price=Price(**price) if price else None)
