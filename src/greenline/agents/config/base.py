"""What all configuration models have in common."""

from __future__ import annotations

from functools import cache
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, model_validator

# JSON numbers beyond 2**53 change on their way through clients that read them as doubles.
_SAFE_INTEGER = 2**53 - 1

Integer = Annotated[int, Field(ge=-_SAFE_INTEGER, le=_SAFE_INTEGER)]
Name = Annotated[str, Field(min_length=1)]
"""A name from a list that the reference extends at any time (a model, a voice, an event): any text is kept."""

T = TypeVar("T")


class ConfigModel(BaseModel):
    """A part of an agent's configuration.

    Unknown fields are kept and given back, so that a client newer than this server loses nothing. ``null`` for a
    field that can't be null gives its default. Instances are shared between turns: never change what they hold.
    """

    model_config = ConfigDict(
        extra="allow", frozen=True, allow_inf_nan=False, validate_by_name=True, serialize_by_alias=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_gives_default(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        nulls = [key for key, value in data.items() if value is None and key in _never_null(cls)]
        return {key: value for key, value in data.items() if key not in nulls} if nulls else data


@cache
def _never_null(model: type[ConfigModel]) -> frozenset[str]:
    return frozenset(
        name
        for field, info in model.model_fields.items()
        if not info.is_required() and info.annotation is not Any and NoneType not in get_args(info.annotation)
        for name in (field, info.alias or field)
    )


def _without_nulls(data: Any) -> Any:
    return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


Map = Annotated[dict[str, T], BeforeValidator(_without_nulls)]
"""An object whose keys the client chooses. ``null`` takes an entry out, so that a partial update can remove one."""


def open_union(field: str, *known: str) -> Discriminator:
    """Choose the member of a union by ``field``; values not in ``known`` go to the member tagged ``other``."""

    def tag(value: Any) -> str:
        kind = value.get(field) if isinstance(value, dict) else getattr(value, field, None)
        return kind if kind in known else "other"

    return Discriminator(tag)
