"""Whether an answer has everything that the official SDK's types promise to its users.

The SDK builds its objects without validation: a required field that an answer lacks turns into an error in the
user's own code. So answers are checked here against the types themselves.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic


def assert_complete(model: Any, payload: Any) -> None:
    """Fail with the paths of all required fields that ``payload`` (parsed JSON) lacks for ``model`` (an SDK type)."""
    missing = list(missing_fields(model, payload))
    assert not missing, f"{getattr(model, '__name__', model)}: " + "; ".join(missing)


def missing_fields(model: Any, payload: Any, path: str = "$") -> Iterator[str]:
    """The problems of ``payload``, one text each."""
    origin = typing.get_origin(model)
    if origin is typing.Annotated:
        yield from missing_fields(typing.get_args(model)[0], payload, path)
    elif origin in (typing.Union, types.UnionType):
        yield from _in_union(typing.get_args(model), payload, path)
    elif origin in (list, typing.Sequence):
        yield from _in_list(model, payload, path)
    elif origin is dict:
        yield from _in_dict(model, payload, path)
    elif isinstance(model, type) and issubclass(model, pydantic.BaseModel):
        yield from _in_model(model, payload, path)
    elif isinstance(model, type) and model in (str, int, float, bool):
        if not isinstance(payload, (int, float) if model is float else model):
            yield f"{path}: {payload!r} is no {model.__name__}"
    elif origin is typing.Literal and payload not in typing.get_args(model):
        yield f"{path}: {payload!r} is none of {typing.get_args(model)}"


def _in_list(model: Any, payload: Any, path: str) -> Iterator[str]:
    if not isinstance(payload, list):
        yield f"{path}: {payload!r} is no list"
        return
    for index, item in enumerate(payload):
        yield from missing_fields(typing.get_args(model)[0], item, f"{path}[{index}]")


def _in_dict(model: Any, payload: Any, path: str) -> Iterator[str]:
    if not isinstance(payload, Mapping):
        yield f"{path}: {payload!r} is no object"
        return
    for key, item in payload.items():
        yield from missing_fields(typing.get_args(model)[1], item, f"{path}.{key}")


def _in_model(model: type[pydantic.BaseModel], payload: Any, path: str) -> Iterator[str]:
    if not isinstance(payload, Mapping):
        yield f"{path}: {payload!r} is no object"
        return
    hints = typing.get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in payload:
            yield from missing_fields(hints[name], payload[key], f"{path}.{key}")
        elif field.is_required():
            yield f"{path}.{key} is missing"


def _in_union(members: tuple[Any, ...], payload: Any, path: str) -> Iterator[str]:
    """One member without a problem is enough; else the problems of the member that fits best."""
    if payload is None and type(None) in members:
        return
    attempts = [list(missing_fields(m, payload, path)) for m in members if m is not type(None)]
    if attempts and all(attempts):
        yield from min(attempts, key=len)
