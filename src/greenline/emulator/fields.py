"""The fields of Graph's nodes: which ones a call asks for, and which names Meta refuses.

Names are those of Meta's reference of each node, of its business SDKs, and of what clients ask for. Those for which
the emulator has no value are left out of answers, as Meta leaves out what is empty.
"""

from __future__ import annotations

import re
from typing import Any, Final

from starlette.requests import Request

from greenline.emulator.errors import MetaError


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ACCOUNT: Final = _names(
    """account_review_status analytics assigned_users auth_international_rate_eligibility business_verification_status
    call_analytics conversation_analytics country creation_time currency disable_marketing_messages_on_cloud_api flows
    health_status id is_enabled_for_insights linked_commerce_account marketing_messages_lite_api_status
    marketing_messages_onboarding_status message_template_namespace message_templates name on_behalf_of_business_info
    owner_business owner_business_info ownership_type phone_numbers pricing_analytics primary_business_location
    primary_funding_id product_catalogs purchase_order_number schedules status subscribed_apps template_analytics
    timezone_id whatsapp_business_manager_messaging_limit"""
)
NUMBER: Final = _names(
    """account_mode certificate code_verification_status conversational_automation country_code country_dial_code
    display_phone_number eligibility_for_api_business_global_search health_status host_platform id is_on_biz_app
    is_official_business_account is_pin_enabled is_preverified_number last_onboarded_time messaging_limit_tier
    name_status new_certificate new_display_name new_name_status owner_business_info platform_type quality_rating
    quality_score search_visibility settings status throughput username verified_name webhook_configuration
    whatsapp_business_manager_messaging_limit whatsapp_business_profile whatsapp_commerce_settings"""
)
TEMPLATE: Final = _names(
    """category components correct_category cta_url_link_tracking_opted_out degrees_of_freedom_spec health_status id
    language last_updated_time library_template_name message_send_ttl_seconds name parameter_format previous_category
    quality_score rejected_reason specific_rejection_reason status sub_category"""
)
MEDIA: Final = _names("file_size id messaging_product mime_type sha256 url")
PROFILE: Final = _names("about address description email id messaging_product profile_picture_url vertical websites")
SETTINGS: Final = _names(
    "calling data_localization_region payload_encryption storage_configuration user_identity_change"
)

_LAST_VERSION: Final = {"username": 23}  # of a number: clients that asked for it were refused from v24 on
_SUBFIELDS: Final = re.compile(r"(\.[a-z_]+\([^()]*\))*(\{.*\})?$", re.DOTALL)


def asked(request: Request, known: frozenset[str]) -> list[str]:
    """The fields that a call asks for, without what it asks of their own fields. Raises `MetaError` 100."""
    names = []
    for part in _split(request.query_params.get("fields", "")):
        name = _SUBFIELDS.sub("", part.strip())
        if name and (name not in known or _version(request) > _LAST_VERSION.get(name, 99)):
            raise _nonexisting(name)
        names += [name] if name else []
    return names


def selected(
    values: dict[str, Any],
    request: Request,
    known: frozenset[str],
    *,
    default: tuple[str, ...] = (),
    on_request: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The values that a call asks for, and the id. Raises `MetaError` 100 for a field that Meta doesn't know.

    ``default``: what a call is shown that names no fields, all if empty; but what is only shown ``on_request``.
    """
    wanted = asked(request, known) or list(default)
    if not wanted:
        return {name: value for name, value in values.items() if name not in on_request}
    return {name: values[name] for name in [*wanted, "id"] if name in values}


def _split(text: str) -> list[str]:
    """Parts between commas, those in brackets left together."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "({") - (character in ")}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _version(request: Request) -> int:
    return int(request.url.path.lstrip("/").split(".")[0].removeprefix("v"))


def _nonexisting(name: str) -> MetaError:
    return MetaError(100, title=f"Tried accessing nonexisting field ({name})", status=400)
