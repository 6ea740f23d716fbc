"""From an agent's configuration to what its model is asked, before there are messages; the same on every channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from greenline.agents.config import ConversationConfig
from greenline.agents.config.llm import BackupLlmConfig, BackupLlmDisabled, BackupLlmOverride
from greenline.agents.config.llm import CustomLlm as CustomLlmConfig
from greenline.agents.config.locators import HeaderValue
from greenline.agents.config.prompt import PromptConfig
from greenline.agents.lookup import Lookup, ValueUnavailable
from greenline.llm.cascade import CUSTOM
from greenline.llm.models import Cascade, CustomLlm, ModelRequest

_URL: Final = "custom_llm.url"
_API_KEY: Final = "custom_llm.api_key"
_HEADERS: Final = "custom_llm.request_headers."


async def model_request(config: ConversationConfig, lookup: Lookup, extra_body: Mapping[str, Any]) -> ModelRequest:
    """The request without messages and tools, with the secrets of an own model filled in.

    Raises `greenline.agents.lookup.ValueUnavailable` when the own model needs a value that can't be found. Where it
    is only a backup this is its failure, and the models before it are asked.
    """
    prompt = config.agent.prompt
    backups = _backups(prompt.backup_llm_config)
    custom_llm: CustomLlm | None = None
    fault = ""
    if CUSTOM in (prompt.llm, *(backups or ())):
        try:
            custom_llm = await _custom_llm(prompt, lookup)
        except ValueUnavailable as error:
            if prompt.llm == CUSTOM:
                raise
            fault = error.message
    return ModelRequest(
        model=prompt.llm,
        messages=(),
        temperature=prompt.temperature,
        max_tokens=prompt.max_tokens if prompt.max_tokens > 0 else None,
        reasoning_effort=prompt.reasoning_effort,
        parallel_tool_calls=prompt.enable_parallel_tool_calls,
        custom_llm=custom_llm,
        custom_llm_fault=fault,
        extra_body=extra_body,
        cascade=Cascade(backups, prompt.cascade_timeout_seconds),
    )


def _backups(config: BackupLlmConfig) -> tuple[str, ...] | None:
    if isinstance(config, BackupLlmDisabled):
        return ()
    return tuple(config.order) if isinstance(config, BackupLlmOverride) else None


async def _custom_llm(prompt: PromptConfig, lookup: Lookup) -> CustomLlm | None:
    config = prompt.custom_llm
    if config is None:
        return None
    if config.auth_connection is not None:
        raise ValueUnavailable("custom_llm.auth_connection: the workspace has no auth connections. Use api_key.")
    texts = await lookup.texts(_named(config))
    return CustomLlm(
        url=texts[_URL],
        model_id=config.model_id,
        api_key=texts.get(_API_KEY),
        headers={name: texts[_HEADERS + name] for name in config.request_headers},
        api_version=config.api_version,
        api_type=config.api_type,
    )


def _named(config: CustomLlmConfig) -> dict[str, HeaderValue]:
    named: dict[str, HeaderValue] = {_HEADERS + name: value for name, value in config.request_headers.items()}
    named[_URL] = config.url
    if config.api_key is not None:
        named[_API_KEY] = config.api_key
    return named
