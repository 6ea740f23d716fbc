"""Limits that hold for what is written, not for what the store holds.

A definition that was accepted once is read for as long as conversations run it, whatever limits came later: whoever
reads it validates with the context `STORED`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import Any, Final

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

STORED: Final = {"stored": True}
_BOUNDS: Final = {"array": "maxItems", "object": "maxProperties", "string": "maxLength"}


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The smallest number that is taken."""

    least: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "minimum": self.least}

    def _check(self, value: int, info: ValidationInfo) -> int:
        if value < self.least and not _is_stored(info):
            raise PydanticKnownError("greater_than_equal", {"ge": self.least})
        return value


@dataclass(frozen=True, slots=True)
class AtMost:
    """The largest number of items in a list, of entries in an object, or of characters in a text."""

    most: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        described = handler(schema)
        return {**described, _BOUNDS[described["type"]]: self.most}

    def _check(self, value: Sized, info: ValidationInfo) -> Sized:
        if len(value) <= self.most or _is_stored(info):
            return value
        if isinstance(value, str):
            raise PydanticKnownError("string_too_long", {"max_length": self.most})
        kind = "Dictionary" if isinstance(value, Mapping) else "List"
        raise PydanticKnownError(
            "too_long", {"field_type": kind, "max_length": self.most, "actual_length": len(value)}
        )


def _limit_or_none(value: int, info: ValidationInfo) -> int:
    if value != -1 and value < 1 and not _is_stored(info):
        raise PydanticCustomError("value_error", "Input should be 1 or more, or -1 for no limit")
    return value


POSITIVE_OR_NONE: Final = AfterValidator(_limit_or_none)
"""A number of which -1 says that there is no limit."""


def _is_stored(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get("stored"))
