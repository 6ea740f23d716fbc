"""docs/speech.md says what is true: its providers, defaults, settings and examples are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from prometheus_client import Counter, Histogram

from greenline.settings import Settings
from greenline.speech import metrics
from greenline.speech.catalog import PROVIDERS, SpeechCatalog
from greenline.speech.formats import audio_format
from greenline.speech.phrases import demo_phrases, read_phrases

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "speech.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
ENVIRON = {"ELEVENLABS_API_KEY": "e", "DEEPGRAM_API_KEY": "d", "OPENAI_API_KEY": "o"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_providers_their_keys_and_models_are_in_the_table(provider: str) -> None:
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{provider}`"))
    info = PROVIDERS[provider]
    assert f"`{info.keys[0]}`" in row
    assert f"`{info.stt}`" in row
    assert f"`{info.tts}`" in row or provider == "elevenlabs"


def test_every_setting_of_speech_is_explained() -> None:
    names = ("stt", "tts", "voice_map", "speech_", "whisper_", "vad_")
    settings = [name for name in Settings.model_fields if name.startswith(names)]
    assert [name for name in settings if f"GREENLINE_{name.upper()}" not in TEXT] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_accepted(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for word in shlex.split(example, comments=True):
        name, equals, value = word.partition("=")
        if equals and name.isupper():
            monkeypatch.setenv(name, value)
    settings = Settings(_env_file=None)
    for kind in ("stt", "tts"):
        assert SpeechCatalog.of(kind, settings, ENVIRON).chain("scribe_realtime")
    assert read_phrases(settings.stt_phrases) is not None


def test_the_number_of_phrases_is_right() -> None:
    assert f"the {len(demo_phrases().phrases)} phrases of the demo" in TEXT


def test_every_figure_is_named() -> None:
    defined = [value for value in vars(metrics).values() if isinstance(value, (Counter, Histogram))]
    names = [sample.name for figure in defined for sample in figure.collect()]
    assert names
    assert [name for name in names if name not in TEXT] == []


def test_formats_are_those_of_the_wire() -> None:
    for name in re.findall(r"`((?:pcm|ulaw)_\d+)`", TEXT):
        assert str(audio_format(name)) == name
