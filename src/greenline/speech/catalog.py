"""Who hears and who speaks, by the first rule that fits.

1. ``GREENLINE_STT_MAP`` (``GREENLINE_TTS_MAP``) has the agent's ``asr.provider`` (``tts.model_id``), or ``"*"``.
2. The agent names one itself, as ``deepgram:nova-3``.
3. ``GREENLINE_STT`` (``GREENLINE_TTS``) is set.
4. The reference's own names (``scribe_realtime``, ``eleven_flash_v2``) are served by ElevenLabs if its key is there.
5. Another provider has a key: its default model serves, in the order of `PROVIDERS`.
6. Nobody has a key: the embedded recogniser and voice serve.

When it fails, the backups of the settings take its place, or by default the other providers with a key; the embedded
voice is always the last to speak.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from greenline.errors import ConfigurationError
from greenline.llm.catalog import read_keys
from greenline.settings import Settings

EMBEDDED: Final = "embedded"
WHISPER: Final = "whisper"
Kind = Literal["stt", "tts"]


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """A service. ``keys`` are the variables that its own SDK reads; ``stt`` and ``tts`` are its default models."""

    url: str
    keys: tuple[str, ...]
    stt: str
    tts: str


PROVIDERS: Final[Mapping[str, ProviderInfo]] = {
    "elevenlabs": ProviderInfo(
        "https://api.elevenlabs.io",
        ("ELEVENLABS_API_KEY", "ELEVEN_API_KEY"),
        "scribe_v2_realtime",
        "eleven_flash_v2_5",
    ),
    "deepgram": ProviderInfo("https://api.deepgram.com", ("DEEPGRAM_API_KEY",), "nova-3", "aura-2-thalia-en"),
    "openai": ProviderInfo(
        "https://api.openai.com/v1", ("OPENAI_API_KEY",), "gpt-4o-mini-transcribe", "gpt-4o-mini-tts"
    ),
}
REFERENCE_NAMES: Final = re.compile(r"scribe_\w+|elevenlabs|eleven_\w+")
"""Names that agents of the reference have in ``asr.provider`` and ``tts.model_id``."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model of a provider."""

    provider: str
    model: str = ""

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}" if self.model else self.provider


@dataclass(frozen=True, slots=True)
class SpeechCatalog:
    """The rules above for hearing (``kind`` is ``stt``) or speaking (``tts``)."""

    kind: Kind
    mapping: Mapping[str, str]
    default: str | None
    backups: tuple[str, ...]
    base_urls: Mapping[str, str]
    keys: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, kind: Kind, settings: Settings, environ: Mapping[str, str]) -> SpeechCatalog:
        """The catalog of a process.

        Raises `ConfigurationError` for a name in the settings that is none, and for a key that can't be sent.
        """
        keys = read_keys({name: key_names(name) for name in (*PROVIDERS, *settings.speech_base_urls)}, environ)
        mapping, default, backups = (
            (settings.stt_map, settings.stt, settings.stt_backups)
            if kind == "stt"
            else (settings.tts_map, settings.tts, settings.tts_backups)
        )
        catalog = cls(kind, mapping, default, backups, settings.speech_base_urls, keys)
        catalog.named()
        return catalog

    def named(self) -> list[Target]:
        """Everybody whom the settings name. Raises `ConfigurationError` for a name that is none."""
        names = [*self.mapping.values(), *self.backups, *([self.default] if self.default else [])]
        return [self.target(name) for name in names]

    def find(self, name: str) -> Target:
        """Who serves the agent's ``asr.provider`` or ``tts.model_id``."""
        mapped = self.mapping.get(name) or self.mapping.get("*")
        if mapped:
            return self.target(mapped, name)
        provider = name.partition(":")[0]
        if provider != "elevenlabs" and self._is_known(provider):
            return self.target(name)
        if self.default:
            return self.target(self.default, name)
        if REFERENCE_NAMES.fullmatch(name) and "elevenlabs" in self.keys:
            return self.target("elevenlabs", name)
        return self._keyed()[0] if self._keyed() else Target(EMBEDDED)

    def chain(self, name: str) -> Sequence[Target]:
        """The one who serves ``name``, and who takes over, in order, each once."""
        backups = [self.target(backup, name) for backup in self.backups] or list(self._keyed())
        last = [Target(EMBEDDED)] if self.kind == "tts" else []
        chain: dict[str, Target] = {}
        for target in (self.find(name), *backups, *last):
            chain.setdefault(target.provider if not self.backups else str(target), target)
        return list(chain.values())

    def target(self, name: str, wanted: str = "") -> Target:
        """The target of ``provider`` or ``provider:model``. Raises `ConfigurationError` for what is none.

        ``wanted`` is the agent's ``tts.model_id``: ElevenLabs itself serves its own models by their names.
        """
        provider, _, model = name.partition(":")
        if not self._is_known(provider):
            raise ConfigurationError(
                f"GREENLINE_{self.kind.upper()}: {name!r} is no provider, or provider:model. Known providers: "
                f"{', '.join(self._known())}. GREENLINE_SPEECH_BASE_URLS adds OpenAI-compatible ones."
            )
        if not model and provider == "elevenlabs" and self.kind == "tts" and wanted.startswith("eleven_"):
            model = wanted
        if self.kind == "stt" and provider in (EMBEDDED, WHISPER):
            model = ""  # there is one of each
        return Target(provider, model or self._default_model(provider))

    def url(self, provider: str) -> str:
        """Where a provider is, without a slash at the end."""
        known = PROVIDERS[provider].url if provider in PROVIDERS else ""
        return self.base_urls.get(provider, known).rstrip("/")

    def _default_model(self, provider: str) -> str:
        if provider in (EMBEDDED, WHISPER):
            return ""
        info = PROVIDERS.get(provider, PROVIDERS["openai"])
        return info.stt if self.kind == "stt" else info.tts

    def _keyed(self) -> list[Target]:
        return [Target(provider, self._default_model(provider)) for provider in PROVIDERS if provider in self.keys]

    def _known(self) -> list[str]:
        here = (EMBEDDED, WHISPER) if self.kind == "stt" else (EMBEDDED,)
        return list(dict.fromkeys([*PROVIDERS, *here, *self.base_urls]))

    def _is_known(self, provider: str) -> bool:
        return provider in self._known()


def key_names(provider: str) -> tuple[str, ...]:
    """The environment variables of a provider's key; ``MY_HOST_API_KEY`` for an own one named ``my-host``."""
    if provider in PROVIDERS:
        return PROVIDERS[provider].keys
    return (re.sub(r"\W", "_", provider).upper() + "_API_KEY",)
