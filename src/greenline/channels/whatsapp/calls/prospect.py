"""What a call to somebody would take, asked before it is begun: for those who decide whether to call."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from greenline.channels.whatsapp.account_models import Account, from_meta
from greenline.channels.whatsapp.graph_calls import GraphCalls
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.channels.whatsapp.graph_token import TokenDied, open_token
from greenline.channels.whatsapp.pacing import WINDOW
from greenline.channels.whatsapp.template_models import Template
from greenline.channels.whatsapp.templates import Templates
from greenline.clock import Clock
from greenline.settings import Settings
from greenline.store.vault import Vault

NO_TEMPLATE: Final = (
    "Only an approved template with a call permission request can ask them now, and this number has none. Make one "
    "in WhatsApp Manager, or set GREENLINE_CALL_PERMISSION_TEXT, which asks those who have written within a day."
)


@dataclass(frozen=True, slots=True)
class Prospect:
    """Whether a person may be called at once. If not: the ``question`` that may be sent now without a template, or
    the ``templates`` that can ask them. ``why_not`` is set when there is no way.
    """

    may_call: bool
    question: str = ""
    templates: tuple[Template, ...] = field(default=(), repr=False)
    why_not: str = ""


class Prospects:
    """Asks Meta."""

    def __init__(
        self,
        templates: Templates,
        vault: Vault,
        clock: Clock,
        settings: Settings,
        token_died: TokenDied | None = None,
    ) -> None:
        self._templates = templates
        self._vault = vault
        self._clock = clock
        self._settings = settings
        self._token_died = token_died

    async def of(
        self, account: Account, *, wa_id: str | None, bsuid: str | None, last_word_at: datetime | None
    ) -> Prospect:
        """The prospect of a call to a person who wrote last at ``last_word_at``. Raises the errors of `from_meta`."""
        token = open_token(self._vault, account.workspace_id, account.phone_number_id, account.sealed_token)
        graph = GraphCalls(self._settings, self._token_died)
        try:
            known = await graph.permission(account.phone_number_id, token, wa_id=wa_id, bsuid=bsuid)
        except GraphError as error:
            raise from_meta(error) from error
        finally:
            await graph.aclose()
        if known.may_call or not known.may_ask:
            return Prospect(known.may_call, why_not="" if known.may_call else known.why_not)
        question = self._settings.call_permission_text
        if question and last_word_at is not None and self._clock.now() - last_word_at < WINDOW:
            return Prospect(may_call=False, question=question)
        templates = tuple(await self._templates.asking_to_call(account))
        return Prospect(may_call=False, templates=templates, why_not="" if templates else NO_TEMPLATE)
