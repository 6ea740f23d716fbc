"""The control API describes itself: each operation, what it takes and what it answers."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from greenline.emulator import control_answers as answers
from greenline.emulator.calls.call import Call
from greenline.emulator.control import create_control
from greenline.emulator.fault_kinds import GraphError
from greenline.emulator.faults import Faults
from greenline.emulator.meta import Meta
from greenline.emulator.webhooks import Delivery
from greenline.emulator.world import App, Message, Number, Person

SPECIFICATION = create_control(Meta()).openapi()
OPERATIONS = [
    (method, path, operation)
    for path, methods in SPECIFICATION["paths"].items()
    for method, operation in methods.items()
]
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]
NUMBER, ANN = Number("1", "2", "+1", "Fern"), Person("ann", "Ann", "15550100001", "US.1")


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_every_operation_is_described(method: str, path: str, operation: dict[str, Any]) -> None:
    assert len(operation["description"]) > 10
    assert operation["summary"]


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_every_operation_says_what_it_answers(method: str, path: str, operation: dict[str, Any]) -> None:
    [content] = operation["responses"]["200"]["content"].items()
    kind, schema = content[0], content[1]["schema"]
    if kind == "application/json":
        name = schema["$ref"].rsplit("/", 1)[1]
        assert SPECIFICATION["components"]["schemas"][name]["properties"]
    else:
        assert schema == {"type": "string", "format": "binary"}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_an_operation_on_something_says_what_comes_when_it_is_not_there(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    if "{" in path and "{fault_id}" not in path:  # to take a fault away that is gone changes nothing
        assert "404" in operation["responses"]


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_a_field_that_nobody_reads_is_refused(method: str, path: str, operation: dict[str, Any]) -> None:
    """What is misspelt would do nothing, and nobody would know. Only a message may hold whatever Meta's may."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        names = [part.get("$ref", "").rsplit("/", 1)[-1] for part in (content["schema"], *_parts(content["schema"]))]
        models = [SPECIFICATION["components"]["schemas"][name] for name in names if name]
        optional = [model for model in models if model["properties"].keys() != set(model.get("required", []))]
        takes_any = [model["title"] for model in optional if model.get("additionalProperties") is not False]
        assert takes_any in ([], ["PersonMessage"])


def _parts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [*schema.get("oneOf", []), *schema.get("anyOf", [])]


def test_every_model_is_described() -> None:
    generated = ("HTTPValidationError", "ValidationError", "Body_")
    schemas = SPECIFICATION["components"]["schemas"].items()
    nameless = [name for name, schema in schemas if not name.startswith(generated) and not schema.get("description")]
    assert nameless == []


def shown() -> Iterator[tuple[type[BaseModel], dict[str, Any]]]:
    """Answers that are written elsewhere than their models, each with its model."""
    yield answers.PersonShown, ANN.shown()
    yield answers.MessageShown, Message("wamid.1", "in", "text", {}, 0.0).shown()
    yield answers.WebhookShown, Delivery(1, App("1", "s", "v"), "http://x", b"{}").shown()
    call = Call("wacid.1", NUMBER, ANN, "USER_INITIATED", 0.0, 1.0)
    yield answers.CallShown, call.shown()


async def test_answers_have_the_keys_of_their_models() -> None:
    for model, answer in shown():
        assert answer.keys() == model.model_fields.keys(), model
        model.model_validate(answer)
    fault = Faults().add(GraphError(code=4)).shown()
    assert answers.FaultShown.model_fields.keys() <= fault.keys()


async def test_a_message_shows_its_own_id_whatever_a_person_wrote_beside_it() -> None:
    odd = {"id": 5, "direction": "up", "text": {"body": "Hi"}}
    message = answers.MessageShown.model_validate(Message("wamid.1", "in", "text", odd, 0.0).shown())
    assert (message.id, message.direction) == ("wamid.1", "in")
