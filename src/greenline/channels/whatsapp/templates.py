"""Templates are Meta's: read when one is sent, kept for a while, filled and checked here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import structlog

from greenline.channels.whatsapp.account_models import Account, from_meta
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.channels.whatsapp.graph_token import open_token
from greenline.channels.whatsapp.template_fill import Filled, fill
from greenline.channels.whatsapp.template_models import (
    Template,
    TemplateMismatch,
    TemplateNotFound,
    TemplateUnusable,
    read_template,
)
from greenline.channels.whatsapp.template_params import TemplateComponent
from greenline.clock import Clock
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.store.sql import load_sql
from greenline.store.vault import Vault
from greenline.text import clean_data

log = structlog.get_logger(__name__)

NOT_FOUND: Final = 132001  # Meta: template does not exist
_STATUS_CODES: Final = {"PAUSED": 132015, "DISABLED": 132016}

_sql = load_sql(__package__, "templates.sql")


class Templates:
    """Reads templates of business accounts."""

    def __init__(self, pool: Pool, graph: GraphClient, vault: Vault, clock: Clock, settings: Settings) -> None:
        self._pool = pool
        self._graph = graph
        self._vault = vault
        self._clock = clock
        self._max_age = timedelta(seconds=settings.template_cache_seconds)

    async def fill(
        self, account: Account, name: str, language: str, given: Sequence[TemplateComponent]
    ) -> tuple[Template, Filled]:
        """The template, and what it says with its parameters.

        A kept template that does not fit is read again before anything is refused. Raises `TemplateNotFound`,
        `TemplateUnusable`, `TemplateMismatch` and the errors of `from_meta`.
        """
        template = await self._cached(account, name, language)
        if template is not None and template.status == "APPROVED":
            try:
                return template, fill(template, given)
            except TemplateMismatch:
                log.info("template.read_again", name=name, language=language)
        template = await self._read(account, name, language)
        if template.status != "APPROVED":
            raise TemplateUnusable(
                f"The template {name} ({language}) is {template.status or 'not approved'}: it would not arrive.",
                meta_code=_STATUS_CODES.get(template.status, NOT_FOUND),
            )
        return template, fill(template, given)

    async def asking_to_call(self, account: Account) -> list[Template]:
        """The approved templates that ask for the permission to call, as Meta has them now.

        Raises the errors of `from_meta`.
        """
        token = open_token(self._vault, account.workspace_id, account.phone_number_id, account.sealed_token)
        try:
            rows = await self._graph.templates(account.business_account_id, token)
        except GraphError as error:
            raise from_meta(error) from error
        templates = (read_template(clean_data(row)) for row in rows)
        return [template for template in templates if template.asks_to_call and template.status == "APPROVED"]

    async def _cached(self, account: Account, name: str, language: str) -> Template | None:
        row = await self._pool.fetchrow(
            _sql["cached"], account.workspace_id, account.business_account_id, name, language
        )
        if row is None or row["fetched_at"] + self._max_age < self._clock.now():
            return None
        return read_template(row["data"])

    async def _read(self, account: Account, name: str, language: str) -> Template:
        rows = await self._fetch(account, name)
        languages = {str(row.get("language")): row for row in rows}
        await self._pool.execute(
            _sql["keep"],
            account.workspace_id,
            account.business_account_id,
            name,
            list(languages),
            list(languages.values()),
            self._clock.now(),
        )
        if language in languages:
            return read_template(languages[language])
        if languages:
            raise TemplateNotFound(
                f"The template {name} is there in {', '.join(sorted(languages))}, not in {language}.",
                meta_code=NOT_FOUND,
            )
        raise TemplateNotFound(f"{TemplateNotFound().message} Asked for: {name}, {language}.", meta_code=NOT_FOUND)

    async def _fetch(self, account: Account, name: str) -> list[dict[str, Any]]:
        token = open_token(self._vault, account.workspace_id, account.phone_number_id, account.sealed_token)
        try:
            rows = await self._graph.templates(account.business_account_id, token, name)
        except GraphError as error:
            raise from_meta(error) from error
        return [clean_data(row) for row in rows if row.get("name") == name]
