"""``template_params`` as the API takes them (reference: Outbound messages & templates)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class TextParameter(_Part):
    """A text for a placeholder; ``parameter_name`` only for templates with named ones."""

    type: Literal["text"] = "text"
    text: str
    parameter_name: str | None = None


class MediaLink(_Part):
    """A file that Meta fetches itself."""

    link: Annotated[str, Field(min_length=1)]


class DocumentLink(MediaLink):
    """A document, and the name under which the person sees it."""

    filename: str | None = None


class Place(_Part):
    """A place on the map. All four are texts, as in the reference."""

    latitude: str
    longitude: str
    name: str
    address: str


class ImageParameter(_Part):
    """The image of a header."""

    type: Literal["image"]
    image: MediaLink


class DocumentParameter(_Part):
    """The document of a header."""

    type: Literal["document"]
    document: DocumentLink


class VideoParameter(_Part):
    """The video of a header. The reference has none: its clients send it as it stands."""

    type: Literal["video"]
    video: MediaLink


class LocationParameter(_Part):
    """The place of a header."""

    type: Literal["location"]
    location: Place


def _kind(value: Any) -> Any:
    return value.get("type", "text") if isinstance(value, dict) else getattr(value, "type", "text")


HeaderParameter: TypeAlias = Annotated[
    Annotated[TextParameter, Tag("text")]
    | Annotated[ImageParameter, Tag("image")]
    | Annotated[DocumentParameter, Tag("document")]
    | Annotated[VideoParameter, Tag("video")]
    | Annotated[LocationParameter, Tag("location")],
    Discriminator(_kind),
]
"""A bare text object is a text."""


class BodyComponent(_Part):
    """The texts of the body."""

    type: Literal["body"]
    parameters: list[TextParameter]


class HeaderComponent(_Part):
    """The text, image, document, video or place of the header."""

    type: Literal["header"]
    parameters: list[HeaderParameter]


class ButtonComponent(_Part):
    """The text of the button at place ``index``, counted from 0. ``sub_type`` is Meta's: url, quick_reply, ..."""

    type: Literal["button"]
    sub_type: str
    index: Annotated[int, Field(ge=0, le=9)]
    parameters: list[TextParameter]


TemplateComponent: TypeAlias = Annotated[
    BodyComponent | HeaderComponent | ButtonComponent, Field(discriminator="type")
]
