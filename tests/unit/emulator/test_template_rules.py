"""What Meta refuses of templates: at their creation, at their change, and when they are sent."""

from typing import Any

import pytest

from greenline.emulator import templates
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.template_fill import asks_to_call, fill, needs_phone
from greenline.emulator.world import Account

DAY = 86_400.0
NOW = 1_800_000_000.0
BODY = {"type": "BODY", "text": "Hello there."}


@pytest.fixture
def account() -> Account:
    return Account("1", "Fern")


def body(*components: Any, **changes: Any) -> dict[str, Any]:
    return {"name": "order", "language": "en", "category": "UTILITY", "components": list(components), **changes}


def make(account: Account, *components: Any, config: Config | None = None, **changes: Any) -> dict[str, Any]:
    return templates.create(account, body(*components, **changes), NOW, config or Config())


def refused(act: Any) -> tuple[int, int | None]:
    with pytest.raises(MetaError) as error:
        act()
    return error.value.code, error.value.subcode


def quick(text: str) -> dict[str, str]:
    return {"type": "QUICK_REPLY", "text": text}


def buttons(*items: Any) -> dict[str, Any]:
    return {"type": "BUTTONS", "buttons": list(items)}


URL = {"type": "URL", "text": "Track", "url": "https://x.example/{{1}}"}
PHONE = {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550001111"}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (body(), (100, None)),
        (body(BODY, components=None), (100, None)),
        (body(BODY, components="x"), (100, None)),
        (body("x"), (100, None)),
        (body({"type": "HEADER", "format": "TEXT", "text": "Only a header"}), (100, None)),
        (body(BODY, BODY), (100, None)),
        (body(BODY, {"type": "HOLOGRAM"}), (100, None)),
        (body({"type": "BODY"}), (100, 2388072)),
        (body({"type": "BODY", "text": "x" * 1025}), (100, 2388040)),
        (body({"type": "body", "text": "x" * 1025}), (100, 2388040)),
        (body({"type": "BODY", "text": "{{1}} is here."}), (100, 2388299)),
        (body({"type": "BODY", "text": "Hello {{1}}"}), (100, 2388299)),
        (body({"type": "BODY", "text": "Hello {{name}}!"}), (100, 2388072)),
        (body({"type": "BODY", "text": "Hello {{1}}!"}, parameter_format="NAMED"), (100, 2388072)),
        (body(BODY, parameter_format="MIXED"), (100, None)),
        (body(BODY, {"type": "HEADER", "format": "SOUND"}), (100, None)),
        (body(BODY, {"type": "HEADER", "format": "TEXT", "text": "x" * 61}), (100, 2388040)),
        (body(BODY, {"type": "HEADER", "format": "TEXT", "text": "{{1}} and {{2}}"}), (100, 2388047)),
        (body(BODY, {"type": "FOOTER"}), (100, 2388073)),
        (body(BODY, {"type": "FOOTER", "text": "Bye {{1}}."}), (100, 2388073)),
        (body(BODY, {"type": "BUTTONS", "buttons": "x"}), (100, None)),
        (body(BODY, buttons()), (100, None)),
        (body(BODY, buttons("x")), (100, None)),
        (body(BODY, buttons(*[quick(str(n)) for n in range(11)])), (100, None)),
        (body(BODY, buttons(URL, URL, URL)), (100, None)),
        (body(BODY, buttons(PHONE, PHONE)), (100, None)),
        (body(BODY, buttons(quick("a"), URL, quick("b"))), (100, None)),
        (body(BODY, buttons(quick("x" * 26))), (100, 2388040)),
        (body(BODY, buttons({"type": "QUICK_REPLY"})), (100, None)),
        (body(BODY, buttons({"type": "LEVER", "text": "Pull"})), (100, None)),
        (body(BODY, buttons({**URL, "url": "nowhere"})), (100, None)),
        (body(BODY, buttons({**URL, "url": "https://x.example/" + "x" * 2000})), (100, 2388040)),
        (body(BODY, buttons({**PHONE, "phone_number": "call me"})), (100, None)),
        (body(BODY, name="Order"), (100, None)),
        (body(BODY, name="order\n"), (100, None)),
        (body(BODY, name="x" * 513), (100, None)),
        (body(BODY, language="english"), (100, None)),
        (body(BODY, category="NEWS"), (100, None)),
    ],
)
def test_what_meta_refuses_at_creation_is_refused(account: Account, wrong: dict[str, Any], code: Any) -> None:
    assert refused(lambda: templates.create(account, wrong, NOW, Config())) == code
    assert account.templates == {}


def test_types_are_taken_in_any_case_and_kept_in_capitals(account: Account) -> None:
    header = {"type": "header", "format": "text", "text": "Order {{1}}"}
    made = make(account, header, {"type": "body", "text": "Hi {{1}}."}, {"type": "buttons", "buttons": [URL, PHONE]})
    assert [part["type"] for part in made["components"]] == ["HEADER", "BODY", "BUTTONS"]
    assert made["components"][0]["format"] == "TEXT"


def delete(account: Account, name: str, template_id: str | None, now: float) -> None:
    for gone in templates.doomed(account, name, template_id, now):
        del account.templates[gone]


def test_a_name_stays_taken_for_thirty_days(account: Account) -> None:
    first, second = make(account, BODY), make(account, BODY, language="de")
    assert refused(lambda: make(account, BODY)) == (100, 2388024)
    delete(account, "order", first["id"], NOW)
    assert refused(lambda: make(account, BODY)) == (100, 2388023)
    make(account, BODY, language="fr")
    delete(account, "order", None, NOW)
    assert second["id"] not in account.templates
    assert refused(lambda: make(account, BODY, language="pl")) == (100, 2388023)
    assert refused(lambda: delete(account, "order", None, NOW)) == (100, 2593002)
    templates.create(account, body(BODY), NOW + 30 * DAY + 1, Config())


def test_templates_have_a_limit_in_all_and_in_an_hour(account: Account) -> None:
    config = Config(templates_per_account=3, template_creations_per_hour=4)
    for number in range(3):
        make(account, BODY, name=f"t{number}", config=config)
    assert refused(lambda: make(account, BODY, config=config)) == (100, 2388019)
    delete(account, "t0", None, NOW)
    make(account, BODY, config=config)
    delete(account, "t1", None, NOW)
    assert refused(lambda: make(account, BODY, name="more", config=config)) == (80007, None)
    templates.create(account, body(BODY, name="more"), NOW + 3600, config)


@pytest.mark.parametrize(
    ("status", "changes", "code"),
    [
        ("APPROVED", {"components": [BODY]}, None),
        ("REJECTED", {"category": "MARKETING"}, None),
        ("PAUSED", {"components": [{"type": "body", "text": "Bye."}]}, None),
        ("PENDING", {"components": [BODY]}, (100, None)),
        ("DISABLED", {"components": [BODY]}, (100, None)),
        ("APPROVED", {"components": [{"type": "FOOTER", "text": "x"}]}, (100, None)),
        ("APPROVED", {"components": "x"}, (100, None)),
        ("APPROVED", {"category": "NEWS"}, (100, None)),
        ("APPROVED", {"category": None}, (100, None)),
        ("APPROVED", {}, (100, None)),
    ],
)
def test_an_edit_is_judged_like_a_creation(account: Account, status: str, changes: Any, code: Any) -> None:
    made = make(account, BODY)
    made["status"] = status
    before = dict(made)
    if code is not None:
        assert refused(lambda: templates.edit(made, changes)) == code
        assert made == before
    else:
        templates.edit(made, changes)
        assert made["category"] == changes.get("category", "UTILITY")


def sent(*components: Any) -> dict[str, Any]:
    return {"name": "order", "language": {"code": "en"}, "components": list(components)}


def texts(kind: str, *values: str) -> dict[str, Any]:
    return {"type": kind, "parameters": [{"type": "text", "text": value} for value in values]}


def button(index: Any, sub_type: str, **parameter: Any) -> dict[str, Any]:
    parameters = [{"type": key, key: value} for key, value in parameter.items()]
    return {"type": "button", "sub_type": sub_type, "index": index, "parameters": parameters}


FULL = (
    {"type": "HEADER", "format": "IMAGE"},
    {"type": "BODY", "text": "Hi {{1}}, order {{2}} is here."},
    {"type": "FOOTER", "text": "Fern"},
    buttons(quick("Thanks"), URL, {"type": "VOICE_CALL", "text": "Call us"}),
)
IMAGE = {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://x.example/a.png"}}]}
ALL = (IMAGE, texts("body", "Ann", "7"), button("1", "url", text="7"))


def test_a_template_is_shown_with_its_parameters(account: Account) -> None:
    made = make(account, *FULL)
    shown = "[image]\nHi Ann, order 7 is here.\nFern\n[Thanks]\n[Track]\n[Call us]"
    assert fill(made, sent(*ALL)).rendered == shown
    more = (button(0, "quick_reply", payload="yes"), button("2", "voice_call", ttl_minutes=10, payload="x"))
    assert fill(made, sent(*ALL, *more)).rendered == shown
    assert not asks_to_call(made)


def test_the_texts_of_a_template_are_told_apart(account: Account) -> None:
    made = make(account, {"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"}, *FULL[1:])
    filled = fill(made, sent(texts("header", "7"), *ALL[1:]))
    assert filled.texts == {"header": "Order 7", "body": "Hi Ann, order 7 is here.", "footer": "Fern"}


@pytest.mark.parametrize(
    ("components", "code"),
    [
        ([IMAGE, texts("body", "Ann", "7")], 131008),
        ([IMAGE, texts("body", "Ann", "7"), button("1", "url")], 131008),
        ([IMAGE, texts("body", "Ann", "7"), button("1", "url", text="")], 131008),
        ([IMAGE, texts("body", "Ann", "7"), button("1", "url", payload="7")], 132012),
        ([IMAGE, texts("body", "Ann", "7"), button("1", "quick_reply", payload="7")], 132018),
        ([*ALL, button("9", "url", text="7")], 132018),
        ([*ALL, button("x", "url", text="7")], 100),
        ([*ALL, button("2", "voice_call", ttl_minutes=0)], 131009),
        ([texts("body", "Ann", "7"), ALL[2]], 132012),
        ([texts("header", "x"), *ALL[1:]], 132012),
        ([IMAGE, texts("body", "Ann"), ALL[2]], 132000),
        ([IMAGE, texts("body", "Ann", "x" * 1024), ALL[2]], 132005),
        ([IMAGE, texts("body", "Ann\nBell", "7"), ALL[2]], 132018),
        ([IMAGE, texts("body", "Ann\tBell", "7"), ALL[2]], 132018),
        ([IMAGE, texts("body", "Ann     Bell", "7"), ALL[2]], 132018),
        ([IMAGE, {"type": "body", "parameters": ["Ann", "7"]}, ALL[2]], 100),
        ([IMAGE, {"type": "body", "parameters": "Ann"}, ALL[2]], 100),
        ([IMAGE, {"type": "hologram"}, ALL[2]], 100),
        (["x"], 100),
        ("x", 100),
    ],
)
def test_wrong_parameters_are_refused(account: Account, components: Any, code: int) -> None:
    made = make(account, *FULL)
    assert refused(lambda: fill(made, {**sent(), "components": components}))[0] == code


def test_parameters_for_what_a_template_does_not_have_are_refused(account: Account) -> None:
    made = make(account, BODY, buttons({**URL, "url": "https://x.example"}))
    assert fill(made, sent()).rendered == "Hello there.\n[Track]"
    assert refused(lambda: fill(made, sent(texts("header", "x"))))[0] == 132000
    assert refused(lambda: fill(made, sent(button("0", "url", text="x"))))[0] == 132018


def test_a_code_needs_the_phone_number(account: Account) -> None:
    otp = buttons({"type": "OTP", "otp_type": "COPY_CODE"})
    made = make(account, {"type": "BODY", "add_security_recommendation": True}, otp, category="AUTHENTICATION")
    assert needs_phone(made)
    assert fill(made, sent(texts("body", "123"), button("0", "url", text="123"))).rendered.startswith("*123* is your")
    assert refused(lambda: fill(made, sent(texts("body", "123"))))[0] == 131008
    assert not needs_phone(make(account, BODY, name="other"))
