"""docs/models.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

from greenline.llm.catalog import PROVIDERS, Catalog
from greenline.llm.errors import Kind
from greenline.llm.script import on_result, on_words
from greenline.settings import Settings

DOCUMENT = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")


def test_every_provider_is_in_the_table_in_its_order() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+? \| (.*?) ?\|$", DOCUMENT, re.MULTILINE)
    assert [name for name, _, _ in rows] == list(PROVIDERS)
    for name, keys, default in rows:
        assert tuple(re.findall(r"`([A-Z_]+)`", keys)) == PROVIDERS[name].keys
        assert default == (f"`{PROVIDERS[name].default_model}`" if PROVIDERS[name].keys else "")


def test_the_mappings_are_ones() -> None:
    urls = json.loads(re.findall(r"GREENLINE_LLM_BASE_URLS='(.+?)'", DOCUMENT)[0])
    mappings = [json.loads(text) for text in re.findall(r"GREENLINE_LLM_MAP='(.+?)'", DOCUMENT)]
    assert len(mappings) == 3
    for mapping in mappings:
        Catalog.of(Settings(llm_map=mapping, llm_base_urls=urls), {"MY_VLLM_API_KEY": "k"})


def test_the_script_plays() -> None:
    (script,) = re.findall(r"```text\n(.*?)```", DOCUMENT, re.DOTALL)
    order = on_words(script, "Order 12")
    assert order is not None
    assert order.said == ["Let me look for order 12."]
    assert [(call.name, call.arguments) for call in order.calls] == [("find_order", {"urgent": True})]
    found = on_result(script, "find_order", "on its way")
    assert found is not None
    assert found.said == ["Here it is: on its way"]
    assert (slow := on_words(script, "slow")) is not None
    assert slow.wait == 2.0
    assert (broken := on_words(script, "broken")) is not None
    assert broken.fails is not None


def test_every_kind_of_failure_and_every_setting_is_named() -> None:
    (kinds,) = re.findall(r"^\| `fail <kind>` \|(.*)$", DOCUMENT, re.MULTILINE)
    assert re.findall(r"`(\w+)`", kinds) == list(get_args(Kind))
    settings = {f"GREENLINE_{name.upper()}" for name in Settings.model_fields if name.startswith("llm_")}
    assert settings <= set(re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE))
