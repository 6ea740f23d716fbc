"""How the web widget looks."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from greenline.agents.config.access import AllowlistItem
from greenline.agents.config.base import ConfigModel, Integer, Map
from greenline.agents.config.widget_text import WidgetTextContents

SOURCE: Final = "widget"
"""What the official widget names itself (reference: ``source_info``)."""


class OrbAvatar(ConfigModel):
    """A ball of two colours."""

    type: Literal["orb"] = "orb"
    color_1: str = "#2792dc"
    color_2: str = "#9ce6e6"


class UrlAvatar(ConfigModel):
    """A picture by its address."""

    type: Literal["url"]
    custom_url: str = ""


class ImageAvatar(ConfigModel):
    """A picture that was uploaded."""

    type: Literal["image"]
    url: str = ""


Avatar: TypeAlias = Annotated[OrbAvatar | UrlAvatar | ImageAvatar, Field(discriminator="type")]


class EndFeedback(ConfigModel):
    """What is asked at the end."""

    type: Literal["rating"] = "rating"


class WidgetStyles(ConfigModel):
    """Colours and measures; null is the widget's own."""

    base: str | None = None
    base_hover: str | None = None
    base_active: str | None = None
    base_border: str | None = None
    base_subtle: str | None = None
    base_primary: str | None = None
    base_error: str | None = None
    accent: str | None = None
    accent_hover: str | None = None
    accent_active: str | None = None
    accent_border: str | None = None
    accent_subtle: str | None = None
    accent_primary: str | None = None
    overlay_padding: float | None = None
    button_radius: float | None = None
    input_radius: float | None = None
    bubble_radius: float | None = None
    sheet_radius: float | None = None
    compact_sheet_radius: float | None = None
    dropdown_sheet_radius: float | None = None


class TextContentsTranslation(ConfigModel):
    """Translations by text name, and the texts that they were made from."""

    source: Map[str] = {}
    text: Map[str] = {}


class TermsTranslation(ConfigModel):
    """The terms in another language."""

    source_hash: str
    text: str


class WidgetLanguagePreset(ConfigModel):
    """The widget in one language."""

    text_contents: WidgetTextContents | None = None
    text_contents_translation: TextContentsTranslation | None = None
    terms_text: str | None = None
    terms_html: str | None = None
    terms_key: str | None = None
    terms_translation: TermsTranslation | None = None


class WidgetConfig(ConfigModel):
    """The block ``platform_settings.widget``."""

    variant: Literal["tiny", "compact", "full", "expandable"] = "full"
    placement: Literal["top-left", "top", "top-right", "bottom-left", "bottom", "bottom-right"] = "bottom-right"
    expandable: Literal["never", "mobile", "desktop", "always"] = "never"
    avatar: Avatar = OrbAvatar()
    feedback_mode: Literal["none", "during", "end"] = "none"
    end_feedback: EndFeedback | None = None
    bg_color: str = "#ffffff"
    text_color: str = "#000000"
    btn_color: str = "#000000"
    btn_text_color: str = "#ffffff"
    border_color: str = "#e1e1e1"
    focus_color: str = "#000000"
    border_radius: Integer | None = None
    btn_radius: Integer | None = None
    action_text: str | None = None
    start_call_text: str | None = None
    end_call_text: str | None = None
    expand_text: str | None = None
    listening_text: str | None = None
    speaking_text: str | None = None
    shareable_page_text: str | None = None
    shareable_page_show_terms: bool = True
    terms_text: str | None = None
    terms_html: str | None = None
    terms_key: str | None = None
    show_avatar_when_collapsed: bool = False
    disable_banner: bool = False
    override_link: str | None = None
    markdown_link_allowed_hosts: list[AllowlistItem] = []
    markdown_link_include_www: bool = True
    markdown_link_allow_http: bool = True
    mic_muting_enabled: bool = True
    transcript_enabled: bool = True
    text_input_enabled: bool = True
    conversation_mode_toggle_enabled: bool = False
    default_expanded: bool = False
    always_expanded: bool = False
    dismissible: bool = False
    show_agent_status: bool = False
    show_conversation_id: bool = True
    strip_audio_tags: bool = True
    syntax_highlight_theme: Literal["light", "dark"] | None = None
    text_contents: WidgetTextContents = WidgetTextContents()
    styles: WidgetStyles = WidgetStyles()
    show_resize_button: bool = True
    end_confirmation_enabled: bool = False
    mobile_fullscreen: bool = False
    transcript_speech_sync_enabled: bool = False
    language_selector: bool = False
    supports_text_only: bool = True
    custom_avatar_path: str | None = None
    language_presets: Map[WidgetLanguagePreset] = {}
