"""What Postgres does for a statement."""

from __future__ import annotations

from typing import Any

from greenline.store.pool import Pool


async def rows_read(pool: Pool, table: str, statement: str, *parameters: Any) -> int:
    """How many rows of a table a statement looked at. It is carried out."""
    [[plan]] = await pool.fetch(f"explain (analyze, format json) {statement}", *parameters)

    def read(node: dict[str, Any]) -> float:
        scanned = (
            node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        )
        own = scanned * node["Actual Loops"] if node.get("Relation Name") == table else 0
        return own + sum(read(part) for part in node.get("Plans", ()))

    return int(read(plan[0]["Plan"]))
