"""A part of a `ConversationConfig`, as a workflow node carries it."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import GetCoreSchemaHandler, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from greenline.agents.config.conversation_config import ConversationConfig


def _without_nulls(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_nulls(value) for key, value in data.items() if value is not None}
    return data


def _part(data: Any, whole: ValidatorFunctionWrapHandler) -> dict[str, Any]:
    config: ConversationConfig = whole(_without_nulls(data))
    return config.model_dump(mode="json", exclude_unset=True)


class _PartOfConfig:
    """Validates by the whole model, whose defaults complete the part, and keeps only what was set."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            _part,
            handler.generate_schema(ConversationConfig),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda part: part),
        )


PartialConversationConfig: TypeAlias = Annotated[dict[str, Any], _PartOfConfig()]
"""A JSON object of the settings that differ. Null stands for "does not differ" and is dropped."""
