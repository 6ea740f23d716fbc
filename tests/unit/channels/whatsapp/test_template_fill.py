"""Parameters against templates: what fits is rendered and built, what does not is told."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from greenline.channels.whatsapp.template_fill import COUNT, FORMAT, LAYOUT, MISSING, TOO_LONG, Filled, fill
from greenline.channels.whatsapp.template_models import Template, TemplateMismatch, placeholders, read_template
from greenline.channels.whatsapp.template_params import TemplateComponent

PARAMS: TypeAdapter[list[TemplateComponent]] = TypeAdapter(list[TemplateComponent])

ORDER = {
    "name": "order_update",
    "language": "en_US",
    "status": "APPROVED",
    "category": "UTILITY",
    "parameter_format": "POSITIONAL",
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"},
        {"type": "BODY", "text": "Hello {{1}}, your order comes on {{2}}."},
        {"type": "FOOTER", "text": "Rosie's"},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "QUICK_REPLY", "text": "Thanks"},
                {"type": "URL", "text": "Track", "url": "https://example.com/{{1}}"},
            ],
        },
    ],
}
GIVEN: list[dict[str, Any]] = [
    {"type": "header", "parameters": [{"type": "text", "text": "A1"}]},
    {"type": "body", "parameters": [{"text": "Ann"}, {"type": "text", "text": "Monday"}]},
    {"type": "button", "sub_type": "url", "index": 1, "parameters": [{"type": "text", "text": "a1"}]},
]


def template(*components: dict[str, Any], **more: Any) -> Template:
    return read_template({**ORDER, "components": list(components), **more})


def filled(what: Template, *given: dict[str, Any]) -> Filled:
    return fill(what, PARAMS.validate_python(list(given)))


def refused(what: Template, *given: dict[str, Any]) -> TemplateMismatch:
    with pytest.raises(TemplateMismatch) as caught:
        filled(what, *given)
    return caught.value


def test_a_template_is_rendered_as_the_person_sees_it() -> None:
    assert filled(read_template(ORDER), *GIVEN).text == (
        "Order A1\nHello Ann, your order comes on Monday.\nRosie's\n[Button: Thanks]\n"
        "[Button: Track → https://example.com/a1]"
    )


def test_components_are_built_as_meta_takes_them() -> None:
    assert filled(read_template(ORDER), *GIVEN).components == [
        {"type": "header", "parameters": [{"type": "text", "text": "A1"}]},
        {"type": "body", "parameters": [{"type": "text", "text": "Ann"}, {"type": "text", "text": "Monday"}]},
        {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "a1"}]},
    ]


def test_a_template_without_placeholders_takes_no_components() -> None:
    plain = template({"type": "BODY", "text": "Hello!"})
    assert filled(plain) == Filled("Hello!", [])
    assert filled(plain, {"type": "body", "parameters": []}) == Filled("Hello!", [])


def test_named_placeholders_are_filled_by_name_in_any_order() -> None:
    named = template({"type": "BODY", "text": "{{greeting}} {{name}}, {{name}}!"}, parameter_format="NAMED")
    done = filled(
        named,
        {
            "type": "body",
            "parameters": [{"parameter_name": "name", "text": "Ann"}, {"parameter_name": "greeting", "text": "Hi"}],
        },
    )
    assert done.text == "Hi Ann, Ann!"
    assert done.components[0]["parameters"] == [
        {"type": "text", "parameter_name": "greeting", "text": "Hi"},
        {"type": "text", "parameter_name": "name", "text": "Ann"},
    ]


@pytest.mark.parametrize(
    ("form", "parameter", "text"),
    [
        ("IMAGE", {"type": "image", "image": {"link": "https://e.com/a.png"}}, "[Image: https://e.com/a.png]"),
        ("VIDEO", {"type": "video", "video": {"link": "https://e.com/a.mp4"}}, "[Video: https://e.com/a.mp4]"),
        (
            "DOCUMENT",
            {"type": "document", "document": {"link": "https://e.com/a", "filename": "bill.pdf"}},
            "[Document: bill.pdf]",
        ),
        (
            "LOCATION",
            {
                "type": "location",
                "location": {"latitude": "1", "longitude": "2", "name": "HQ", "address": "1 Main St"},
            },
            "[Location: HQ, 1 Main St]",
        ),
    ],
)
def test_headers_of_every_kind(form: str, parameter: dict[str, Any], text: str) -> None:
    what = template({"type": "HEADER", "format": form}, {"type": "BODY", "text": "Hi"})
    done = filled(what, {"type": "header", "parameters": [parameter]})
    assert done.text == f"{text}\nHi"
    assert done.components == [{"type": "header", "parameters": [parameter]}]


@pytest.mark.parametrize(
    ("button", "sub_type", "parameter"),
    [
        ({"type": "QUICK_REPLY", "text": "Yes"}, "quick_reply", {"type": "payload", "payload": "x"}),
        ({"type": "COPY_CODE", "text": "Copy"}, "copy_code", {"type": "coupon_code", "coupon_code": "x"}),
        ({"type": "OTP", "text": "Copy"}, "url", {"type": "text", "text": "x"}),
    ],
)
def test_texts_of_buttons_take_the_name_that_meta_gives_them(
    button: dict[str, Any], sub_type: str, parameter: dict[str, Any]
) -> None:
    what = template({"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": [button]})
    (component,) = filled(
        what, {"type": "button", "sub_type": sub_type, "index": 0, "parameters": [{"text": "x"}]}
    ).components
    assert component == {"type": "button", "sub_type": sub_type, "index": "0", "parameters": [parameter]}


def test_the_transcript_shows_the_code_that_is_copied() -> None:
    button = {"type": "COPY_CODE", "text": "Copy offer code"}
    what = template({"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": [button]})
    given = {"type": "button", "sub_type": "copy_code", "index": 0, "parameters": [{"text": "FERN20"}]}
    assert filled(what, given).text == "Hi\n[Button: Copy offer code → FERN20]"


@pytest.mark.parametrize(
    ("given", "code", "need"),
    [
        (GIVEN[:2], COUNT, "needs 1 parameters for the url button at index 1, not 0"),
        (GIVEN[1:], COUNT, "needs 1 parameters for the header, not 0"),
        ([GIVEN[0], GIVEN[2]], COUNT, "needs 2 parameters for the body, not 0"),
        ([*GIVEN, GIVEN[1]], COUNT, "one body component"),
        ([*GIVEN, GIVEN[2]], COUNT, "same index"),
        ([*GIVEN, {**GIVEN[2], "index": 2}], COUNT, "2 buttons, none at index 2"),
        ([*GIVEN[:2], {**GIVEN[2], "sub_type": "quick_reply"}], FORMAT, "sub_type url at index 1"),
        ([GIVEN[0], {"type": "body", "parameters": [{"text": "Ann"}, {"text": ""}]}, GIVEN[2]], MISSING, "not empty"),
        (
            [
                GIVEN[0],
                {"type": "body", "parameters": [{"text": "A", "parameter_name": "n"}, {"text": "B"}]},
                GIVEN[2],
            ],
            FORMAT,
            "leave parameter_name out",
        ),
        *(
            ([GIVEN[0], {"type": "body", "parameters": [{"text": "Ann"}, {"text": text}]}, GIVEN[2]], LAYOUT, "tabs")
            for text in ("Monday\nmorning", "on\ta Monday", "on     Monday", "Monday\r")
        ),
        ([{"type": "header", "parameters": [{"text": "A\n1"}]}, *GIVEN[1:]], LAYOUT, "texts for the header"),
        ([{"type": "header", "parameters": [{"text": "A" * 55}]}, *GIVEN[1:]], TOO_LONG, "Meta takes 60"),
        (
            [GIVEN[0], {"type": "body", "parameters": [{"text": "A" * 1000}, {"text": "Monday"}]}, GIVEN[2]],
            TOO_LONG,
            "has 1035 characters in the body",
        ),
        (
            [{"type": "header", "parameters": [{"type": "image", "image": {"link": "x"}}]}, *GIVEN[1:]],
            FORMAT,
            "texts only",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_metas_code(given: list[dict[str, Any]], code: int, need: str) -> None:
    error = refused(read_template(ORDER), *given)
    assert need in error.message
    assert error.detail()["meta_code"] == code
    assert error.http_status == 400


def test_what_a_template_has_no_place_for_is_refused_by_its_name() -> None:
    no_header = template({"type": "BODY", "text": "Hi"})
    assert "no header" in refused(no_header, GIVEN[0]).message
    product = template({"type": "HEADER", "format": "PRODUCT"}, {"type": "BODY", "text": "Hi"})
    assert "PRODUCT" in refused(product).message
    image = template({"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hi"})
    assert "type image" in refused(image).message
    named = template({"type": "BODY", "text": "{{a}} {{b}}"}, parameter_format="NAMED")
    wrong = {"type": "body", "parameters": [{"parameter_name": "a", "text": "1"}, {"text": "2"}]}
    assert "a, b" in refused(named, wrong).message
    plain_url = template(
        {"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": [{"type": "URL", "url": "u"}]}
    )
    assert "takes no such parameters" in refused(plain_url, {**GIVEN[2], "index": 0}).message


@pytest.mark.parametrize(
    "given",
    [
        [{"type": "text", "text": "Ann"}],
        [{"parameters": []}],
        [{"type": "body"}],
        [{"type": "body", "parameters": [{"type": "currency", "currency": {}}]}],
        [{"type": "body", "parameters": [{"type": "image", "image": {"link": "x"}}]}],
        [{"type": "header", "parameters": [{"type": "video", "video": {"id": "9"}}]}],
        [{"type": "header", "parameters": [{"type": "image", "image": {"id": "9"}}]}],
        [{"type": "header", "parameters": [{"type": "location", "location": {"latitude": 1, "longitude": 2}}]}],
        [
            {
                "type": "button",
                "sub_type": "quick_reply",
                "index": 0,
                "parameters": [{"type": "payload", "payload": "x"}],
            }
        ],
        [{"type": "button", "index": 0, "parameters": []}],
        [{"type": "button", "sub_type": "url", "index": "first", "parameters": []}],
        [{"type": "carousel", "cards": []}],
        {"type": "body"},
        None,
    ],
)
def test_other_shapes_are_no_template_params(given: Any) -> None:
    with pytest.raises(ValidationError):
        PARAMS.validate_python(given)


def test_a_bare_text_in_a_header_is_a_text() -> None:
    (component,) = PARAMS.validate_python([{"type": "header", "parameters": [{"text": "A1"}]}])
    assert component.parameters[0].type == "text"


def test_placeholders_are_counted_once_and_in_order() -> None:
    assert placeholders("{{2}} {{ 1 }} {{2}} {{10}}") == ("1", "2", "10")
    assert placeholders("{{name}} {{city}} {{name}}") == ("name", "city")
    assert placeholders("{{}} {x} {{a-b}}") == ()


@given(st.recursive(st.none() | st.integers() | st.text(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)))
def test_any_template_of_meta_can_be_read(data: Any) -> None:
    read_template({"components": data})
    read_template({**ORDER, "components": [{"type": "BUTTONS", "buttons": data}, {"type": "BODY", "text": data}]})


def is_plain(text: str) -> bool:
    return not re.search(r"\{\{|[\n\r\t]| {5}", text)


@given(st.lists(st.text(min_size=1, max_size=20).filter(is_plain), max_size=6))
def test_every_placeholder_is_filled(values: list[str]) -> None:
    text = " ".join(f"x{{{{{number + 1}}}}}" for number in range(len(values)))
    done = filled(
        template({"type": "BODY", "text": text}),
        {"type": "body", "parameters": [{"text": value} for value in values]},
    )
    assert done.text == " ".join(f"x{value}" for value in values)
