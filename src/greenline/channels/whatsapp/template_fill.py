"""Fills a template: checks the parameters, makes the text that the person sees and the components that Meta takes.

What Meta would refuse, or accept and never deliver, is refused here with Meta's code and what the template needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from greenline.channels.whatsapp.template_models import (
    PLACEHOLDER,
    Button,
    Template,
    TemplateMismatch,
    placeholders,
)
from greenline.channels.whatsapp.template_params import (
    BodyComponent,
    ButtonComponent,
    HeaderComponent,
    TemplateComponent,
    TextParameter,
)

COUNT: Final = 132000  # Meta: number of parameters does not match
FORMAT: Final = 132012  # Meta: parameter format does not match
MISSING: Final = 131008  # Meta: required parameter is missing
TOO_LONG: Final = 132005  # Meta: translated text too long
LAYOUT: Final = 132018  # Meta: param text cannot have new-line/tab characters or more than 4 consecutive spaces

_LONGEST: Final = {"header": 60, "body": 1024}
"""Characters of a part with its parameters (Meta: Templates)."""

_LAID_OUT: Final = re.compile(r"[\n\r\t]| {5}")

_MEDIA_FORMATS: Final = frozenset({"IMAGE", "DOCUMENT", "VIDEO", "LOCATION"})

_SUB_TYPES: Final = {"OTP": "url", "CATALOG": "catalog", "MPM": "mpm"}
"""``sub_type`` of a button where it is not its type in small letters."""

_TAKES_TEXT: Final = {"quick_reply": "payload", "copy_code": "coupon_code"}
"""Buttons whose parameter is called otherwise at Meta: the API has only texts."""

_COPIED: Final = frozenset({"COPY_CODE"})

_NEEDS_TEXT: Final = frozenset({"COPY_CODE", "OTP"})

Component = TypeVar("Component", BodyComponent, HeaderComponent)


@dataclass(frozen=True, slots=True)
class Filled:
    """``text`` is what the person sees; ``components`` are Meta's."""

    text: str
    components: list[dict[str, Any]]


def fill(template: Template, given: Sequence[TemplateComponent]) -> Filled:
    """The template with its parameters. Raises `TemplateMismatch`, which names what the template needs."""
    header = _only(HeaderComponent, given)
    body = _only(BodyComponent, given)
    buttons = _by_index(template, given)
    header_text, header_component = _fill_header(template, header)
    body_values = _values(template, "body", template.body, body.parameters if body else ())
    body_text = _filled(template, "body", template.body, body_values)
    components = [header_component] if header_component else []
    if body_values:
        components.append({"type": "body", "parameters": _texts(template, body_values)})
    lines = [header_text, body_text, template.footer]
    for index, button in enumerate(template.buttons):
        text, component = _fill_button(template, index, button, buttons.get(index))
        lines.append(text)
        components += [component] if component else []
    return Filled("\n".join(line for line in lines if line), components)


def _fill_header(template: Template, given: HeaderComponent | None) -> tuple[str, dict[str, Any] | None]:
    parameters = given.parameters if given else []
    if template.header is None:
        if parameters:
            raise _mismatch(template, COUNT, "has no header, so it takes no header parameters")
        return "", None
    form = template.header.format
    if form == "TEXT":
        return _fill_text_header(template, template.header.text, parameters)
    if form not in _MEDIA_FORMATS:
        raise _mismatch(template, FORMAT, f"has a header of format {form}, which this API can't fill")
    kind = form.lower()
    if len(parameters) != 1 or parameters[0].type != kind:
        raise _mismatch(template, FORMAT, f"needs one header parameter of type {kind}")
    parameter = parameters[0].model_dump(exclude_none=True)
    content = parameter[kind]
    shown = content.get("filename") or content.get("link") or f"{content['name']}, {content['address']}"
    return f"[{kind.capitalize()}: {shown}]", {"type": "header", "parameters": [parameter]}


def _fill_text_header(template: Template, text: str, parameters: Sequence[Any]) -> tuple[str, dict[str, Any] | None]:
    texts = [parameter for parameter in parameters if isinstance(parameter, TextParameter)]
    if len(texts) != len(parameters):
        raise _mismatch(template, FORMAT, "has a text header, which takes texts only")
    values = _values(template, "header", text, texts)
    component = {"type": "header", "parameters": _texts(template, values)} if values else None
    return _filled(template, "header", text, values), component


def _fill_button(
    template: Template, index: int, button: Button, given: ButtonComponent | None
) -> tuple[str, dict[str, Any] | None]:
    sub_type = _SUB_TYPES.get(button.type, button.type.lower())
    names = placeholders(button.url)
    if given is not None and given.sub_type.lower() != sub_type:
        raise _mismatch(template, FORMAT, f"has a button with sub_type {sub_type} at index {index}")
    texts = given.parameters if given else []
    if names or button.type in _NEEDS_TEXT:
        _check_count(template, f"the {sub_type} button at index {index}", 1, len(texts))
    elif len(texts) > (1 if sub_type == "quick_reply" else 0):
        raise _mismatch(template, COUNT, f"takes no such parameters for the {sub_type} button at index {index}")
    if any(not parameter.text for parameter in texts):
        raise _mismatch(template, MISSING, f"needs a text that is not empty for the button at index {index}")
    url = _replace(button.url, {names[0]: texts[0].text}) if names else button.url
    leads_to = texts[0].text if button.type in _COPIED and texts else url
    shown = f"[Button: {button.text} → {leads_to}]" if leads_to else f"[Button: {button.text}]"
    if not texts:
        return shown, None
    kind = _TAKES_TEXT.get(sub_type, "text")
    # Meta takes the index as text.
    parameters = [{"type": kind, kind: texts[0].text}]
    return shown, {"type": "button", "sub_type": sub_type, "index": str(index), "parameters": parameters}


def _values(template: Template, part: str, text: str, given: Sequence[TextParameter]) -> dict[str, str]:
    """The text of each placeholder of ``text``."""
    names = placeholders(text)
    _check_count(template, f"the {part}", len(names), len(given), names if template.is_named else ())
    if any(not parameter.text for parameter in given):
        raise _mismatch(template, MISSING, f"needs texts that are not empty for the {part}")
    if any(_LAID_OUT.search(parameter.text) for parameter in given):
        raise _mismatch(
            template, LAYOUT, f"takes no line breaks, tabs or more than 4 spaces in a row in the texts for the {part}"
        )
    if not template.is_named:
        if any(parameter.parameter_name for parameter in given):
            raise _mismatch(template, FORMAT, f"has numbered placeholders in the {part}: leave parameter_name out")
        return dict(zip(names, (parameter.text for parameter in given), strict=True))
    values = {parameter.parameter_name or "": parameter.text for parameter in given}
    if set(values) != set(names):
        raise _mismatch(template, COUNT, f"needs the parameter_names {', '.join(names)} in the {part}")
    return {name: values[name] for name in names}


def _filled(template: Template, part: str, text: str, values: Mapping[str, str]) -> str:
    filled = _replace(text, values)
    if len(filled) > _LONGEST[part]:
        need = f"has {len(filled)} characters in the {part} with these texts, and Meta takes {_LONGEST[part]}"
        raise _mismatch(template, TOO_LONG, need)
    return filled


def _check_count(template: Template, part: str, needed: int, given: int, names: Sequence[str] = ()) -> None:
    if needed != given:
        named = f" ({', '.join(names)})" if names else ""
        raise _mismatch(template, COUNT, f"needs {needed} parameters{named} for {part}, not {given}")


def _texts(template: Template, values: Mapping[str, str]) -> list[dict[str, str]]:
    if template.is_named:
        return [{"type": "text", "parameter_name": name, "text": text} for name, text in values.items()]
    return [{"type": "text", "text": text} for text in values.values()]


def _replace(text: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def _only(kind: type[Component], given: Sequence[TemplateComponent]) -> Component | None:
    found = [component for component in given if isinstance(component, kind)]
    if len(found) > 1:
        raise TemplateMismatch(f"Give one {found[0].type} component, not {len(found)}.", meta_code=COUNT)
    return found[0] if found else None


def _by_index(template: Template, given: Sequence[TemplateComponent]) -> dict[int, ButtonComponent]:
    buttons = [component for component in given if isinstance(component, ButtonComponent)]
    by_index = {button.index: button for button in buttons}
    if len(by_index) != len(buttons):
        raise TemplateMismatch("Two button components have the same index.", meta_code=COUNT)
    beyond = [index for index in by_index if index >= len(template.buttons)]
    if beyond:
        raise _mismatch(template, COUNT, f"has {len(template.buttons)} buttons, none at index {beyond[0]}")
    return by_index


def _mismatch(template: Template, code: int, need: str) -> TemplateMismatch:
    return TemplateMismatch(f"The template {template.name} ({template.language}) {need}.", meta_code=code)
