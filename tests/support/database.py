"""All that a database holds, for tests of what it must not hold."""

from __future__ import annotations

from greenline.store.pool import Pool


async def all_text(pool: Pool) -> str:
    """Every row of every table as text; bytes also as they read in UTF-8."""
    tables = await pool.fetch("select quote_ident(tablename) as name from pg_tables where schemaname = 'public'")
    found: list[str] = []
    for table in tables:
        for row in await pool.fetch(f"select t.* from {table['name']} t"):
            found += [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in row]
    return "\n".join(found)
