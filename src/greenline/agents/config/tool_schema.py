"""The parameters of a tool, in the reference's dialect of JSON Schema.

Each value comes from exactly one source: the model (a ``description`` tells it what to give), a dynamic variable,
a constant, the system, or it is left out (reference: Tools).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, Tag, model_validator

from greenline.agents.config.base import ConfigModel, Integer, Map, open_union

LiteralType: TypeAlias = (
    Literal["boolean", "string", "integer", "number"] | Annotated[list[str], Field(min_length=2, max_length=2)]
)
Scalar: TypeAlias = str | bool | Integer | float


class AllowedValues(ConfigModel):
    """A dynamic variable that holds a JSON array; a value of the model outside it is refused."""

    dynamic_variable: Annotated[str, Field(min_length=1)]


class RequiredConstraint(ConfigModel):
    """A set of properties that must be present together."""

    required: list[str]


class RequiredConstraints(ConfigModel):
    """Sets of properties of which any, or all, must be complete."""

    any_of: list[RequiredConstraint] = []
    all_of: list[RequiredConstraint] = []


class LiteralSchema(ConfigModel):
    """A text, number or truth value. A list of two types is for values that may be null."""

    type: LiteralType
    description: str = ""
    enum: list[str] | None = None
    is_system_provided: bool = False
    dynamic_variable: str = ""
    allowed_values: AllowedValues | None = None
    allowed_values_dynamic_variable: str = ""
    constant_value: Scalar | None = None
    is_omitted: bool = False

    def sources(self) -> list[str]:
        """The names of the fields that give the value; a usable leaf has one."""
        return _set(
            description=self.description,
            dynamic_variable=self.dynamic_variable,
            constant_value=self.constant_value not in (None, ""),
            is_system_provided=self.is_system_provided,
            is_omitted=self.is_omitted,
        )


class LiteralProperty(LiteralSchema):
    """A leaf of a tool's parameters: exactly one source."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = self.sources()
        if len(sources) != 1:
            raise ValueError(
                "set exactly one of description, dynamic_variable, constant_value, is_system_provided, is_omitted; "
                f"got {' and '.join(sources) or 'none'}"
            )
        if (self.allowed_values or self.allowed_values_dynamic_variable) and sources != ["description"]:
            raise ValueError("allowed_values restricts what the model gives: it needs description as the source")
        return self


class ObjectProperty(ConfigModel):
    """An object: its properties have their own sources, or the whole comes from one."""

    type: Literal["object"] = "object"
    description: str = ""
    dynamic_variable: str = ""
    constant_value: Map[Any] | None = None
    is_omitted: bool = False
    required: list[str] = []
    properties: Map[Property] = {}
    required_constraints: RequiredConstraints | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _at_most_one_source(self)
        unknown = [name for name in self.required if name not in self.properties]
        if unknown and not (self.dynamic_variable or self.constant_value or self.is_omitted):
            raise ValueError(f"required names properties that do not exist: {', '.join(unknown)}")
        return self


class ArrayProperty(ConfigModel):
    """A list: the model fills it item by item as ``items`` says, or the whole comes from one source."""

    type: Literal["array"] = "array"
    description: str = ""
    dynamic_variable: str = ""
    constant_value: list[Any] | None = None
    is_omitted: bool = False
    items: Property | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _at_most_one_source(self)
        if self.items is None and not (self.dynamic_variable or self.constant_value or self.is_omitted):
            raise ValueError("an array that the model fills needs items")
        return self


Property: TypeAlias = Annotated[
    Annotated[ObjectProperty, Tag("object")]
    | Annotated[ArrayProperty, Tag("array")]
    | Annotated[LiteralProperty, Tag("other")],
    open_union("type", "object", "array"),
]


class QueryParameters(ConfigModel):
    """The query of a URL: literals by name."""

    properties: Map[LiteralProperty]
    required: list[str] = []

    @model_validator(mode="after")
    def _required_exist(self) -> Self:
        unknown = [name for name in self.required if name not in self.properties]
        if unknown:
            raise ValueError(f"required names properties that do not exist: {', '.join(unknown)}")
        return self


def _set(**sources: object) -> list[str]:
    return [name for name, value in sources.items() if value]


def _at_most_one_source(value: ObjectProperty | ArrayProperty) -> None:
    sources = _set(
        description=value.description,
        dynamic_variable=value.dynamic_variable,
        constant_value=value.constant_value,
        is_omitted=value.is_omitted,
    )
    if len(sources) > 1:
        raise ValueError(f"set only one of description, dynamic_variable, constant_value, is_omitted; got {sources}")
