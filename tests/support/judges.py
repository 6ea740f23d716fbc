"""Guardrails in tests: what judges say, and models of which one answers and the other judges."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from greenline.llm.cascade import Models
from greenline.llm.factory import build_models
from greenline.llm.models import Cascade, Message, ModelRequest, TextPart
from greenline.settings import Settings
from support.fake_llm import FakeLlm, Play, says
from support.wait import PATIENCE_SECONDS

JUDGE = "gemini-3.1-flash-lite"
"""The reference's default for custom guardrails, and the server's for the others."""


def refuses(rationale: str = "It names a price.", **more: Any) -> Play:
    """A judge that finds a rule broken."""
    return says(json.dumps({"triggered": True, "rationale": rationale}), **more)


def passes(**more: Any) -> Play:
    """A judge that finds nothing."""
    return says(json.dumps({"triggered": False, "rationale": ""}), **more)


def custom(name: str = "Prices", **more: Any) -> dict[str, Any]:
    """The block ``guardrails`` with one custom rule."""
    rule = {"is_enabled": True, "name": name, "prompt": "The agent must not name prices.", **more}
    return {"custom": {"config": {"configs": [rule]}}}


def retry(feedback: str = "Leave the price out.") -> dict[str, Any]:
    """The action that lets the model try again."""
    return {"type": "retry", "feedback": feedback}


@contextlib.asynccontextmanager
async def two_models(answers: FakeLlm, judge: FakeLlm) -> AsyncIterator[Models]:
    """``judge`` is the model `JUDGE`, ``answers`` every other one; each is asked once before, which takes seconds."""
    settings = Settings(
        _env_file=None,
        llm_base_urls={"answers": answers.url, "judge": judge.url},
        llm_map={"*": "answers:m", JUDGE: "judge:j"},
    )
    asked = (Message("user", (TextPart("Hello"),)),)
    async with httpx2.AsyncClient() as http:
        models, endpoints = build_models(settings, {}, http)
        try:
            for name, endpoint in (("any", answers), (JUDGE, judge)):
                plays, endpoint.plays = endpoint.plays, [says("Ready")]
                await models.complete(ModelRequest(name, asked, cascade=Cascade((), PATIENCE_SECONDS)))
                endpoint.will(*plays)
                endpoint.seen.clear()
            yield models
        finally:
            await endpoints.aclose()
