"""Expressions of workflow edges and state updates, as a tree of operators.

Evaluation: values of different types are never equal, an absent variable is null, and an ordering operator on
anything but numbers ends the turn with an error (reference: Workflows).
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Integer
from greenline.agents.config.tool_schema import LiteralType


class BinaryOperator(ConfigModel):
    """An operator with two sides."""

    type: Literal[
        "eq_operator",
        "neq_operator",
        "gt_operator",
        "gte_operator",
        "lt_operator",
        "lte_operator",
        "add_operator",
        "sub_operator",
        "mul_operator",
        "div_operator",
    ]
    left: Expression
    right: Expression


class LogicalOperator(ConfigModel):
    """All of, or any of, its children."""

    type: Literal["and_operator", "or_operator"]
    children: list[Expression]


class ConditionalOperator(ConfigModel):
    """One of two expressions, by a condition."""

    type: Literal["conditional_operator"]
    condition: Expression
    true_expression: Expression = Field(alias="trueExpression")
    false_expression: Expression = Field(alias="falseExpression")


class StringLiteral(ConfigModel):
    """A text."""

    type: Literal["string_literal"]
    value: str


class NumberLiteral(ConfigModel):
    """A number."""

    type: Literal["number_literal"]
    value: Integer | float


class BooleanLiteral(ConfigModel):
    """A truth value."""

    type: Literal["boolean_literal"]
    value: bool


class NullLiteral(ConfigModel):
    """Nothing: equal to an absent variable."""

    type: Literal["null_literal"]


class DynamicVariableExpression(ConfigModel):
    """The value of a dynamic variable."""

    type: Literal["dynamic_variable"]
    name: str


class ModelValueSchema(ConfigModel):
    """What kind of value the model is asked for."""

    type: LiteralType
    description: str
    enum: list[str] | None = None


class ModelExpression(ConfigModel):
    """A value that the model gives."""

    type: Literal["llm"]
    value_schema: ModelValueSchema
    prompt: str


Expression: TypeAlias = Annotated[
    BinaryOperator
    | LogicalOperator
    | ConditionalOperator
    | StringLiteral
    | NumberLiteral
    | BooleanLiteral
    | NullLiteral
    | DynamicVariableExpression
    | ModelExpression,
    Field(discriminator="type"),
]
