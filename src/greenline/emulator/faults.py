"""Faults that the control API sets by name, with a seed, so that a run can be repeated."""

from __future__ import annotations

import random
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, Field, PrivateAttr, field_validator, model_validator


class Fault(BaseModel, extra="forbid"):
    """A fault that acts ``times`` times (None: for ever) where ``match`` fits; a kind adds its parameters."""

    about: ClassVar[frozenset[str]] = frozenset()
    """What ``match`` may name."""

    times: int | None = Field(None, ge=0, description="How often it acts; null: for ever.")
    probability: float = Field(1.0, ge=0, le=1)
    seed: int = 0
    match: dict[str, str] = Field(
        default={},
        description="What must be equal for the fault to act. Of a Graph call: `path`, `edge`, `phone_number_id` and "
        "`sends`, which is the type of a message, `read` or `typing`. Of a webhook: `field`, `phone_number_id`. Of a "
        "message: `person_id`, `phone_number_id`. Of a call also `call_id`, `direction`, `event`, `action`.",
    )
    _id: int = PrivateAttr(0)
    _acted: int = PrivateAttr(0)
    _random: random.Random = PrivateAttr()

    @model_validator(mode="before")
    @classmethod
    def _has_its_parameters(cls, given: Any) -> Any:
        unknown = ", ".join(sorted(set(given) - set(cls.model_fields))) if isinstance(given, dict) else ""
        if unknown:
            raise ValueError(f"no parameter {unknown}; there are {', '.join(sorted(cls.model_fields))}")
        return given

    @field_validator("match")
    @classmethod
    def _names_what_it_is_asked_about(cls, match: dict[str, str]) -> dict[str, str]:
        if not match.keys() <= cls.about:
            raise ValueError(f"match can name {', '.join(sorted(cls.about))}")
        return match

    def model_post_init(self, context: Any) -> None:
        """Begin the sequence of the seed."""
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable, not secret

    name: str = ""

    def up_to(self, seconds: float) -> float:
        """A delay out of the seeded sequence."""
        return self._random.uniform(0, seconds)

    def between(self, fewest: int, most: int) -> int:
        """A count out of the seeded sequence."""
        return self._random.randint(fewest, most)

    def acts(self, about: dict[str, Any]) -> bool:
        """Whether the fault acts now; counts it if so. A set in ``about`` fits if it holds what is wanted."""
        if self.times is not None and self._acted >= self.times:
            return False
        if not all(_fits(wanted, about.get(key)) for key, wanted in self.match.items()):
            return False
        if self._random.random() >= self.probability:
            return False
        self._acted += 1
        return True

    def shown(self) -> dict[str, Any]:
        """As the control API shows it."""
        return {"id": self._id, **self.model_dump(), "acted": self._acted}


F = TypeVar("F", bound=Fault)


class Faults:
    """The faults that are set."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._next = 1

    def add(self, fault: F) -> F:
        """Set a fault."""
        fault._id = self._next  # noqa: SLF001 - given here, for as long as the fault is set
        self._faults[self._next] = fault
        self._next += 1
        return fault

    def remove(self, fault_id: int | None = None) -> None:
        """Take one fault away, or all."""
        if fault_id is None:
            self._faults.clear()
        else:
            self._faults.pop(fault_id, None)

    def all(self) -> list[Fault]:
        """Every fault that is set."""
        return list(self._faults.values())

    def acting(self, kind: type[F], **about: Any) -> F | None:
        """The first fault of a kind that acts on what is described."""
        return next((f for f in self._faults.values() if isinstance(f, kind) and f.acts(about)), None)


def _fits(wanted: str, value: Any) -> bool:
    return wanted in value if isinstance(value, frozenset) else wanted == value
