"""What a database holds, in short: to show that nothing was changed."""

from collections.abc import Sequence

import asyncpg

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
COLUMNS = """
SELECT t.relname::text, a.attname::text, y.typname::text
FROM pg_class AS t
JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
JOIN pg_type AS y ON y.oid = a.atttypid
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND y.typname = ANY ($1)
  AND (t.relname = 'municipalities' OR EXISTS (
    SELECT FROM pg_attribute AS m WHERE m.attrelid = t.oid AND m.attname = 'municipality_id'))
ORDER BY 1, 2
"""
TEXTS = ("text", "varchar", "jsonb", "json", "_text")


async def contents(conn: "asyncpg.Connection[asyncpg.Record]") -> dict[str, str]:
    """Of every table a hash of all its rows."""
    found = {}
    for (table,) in await conn.fetch(TABLES):
        # Names of tables, as the catalogue has them.
        rows = f"SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM \"{table}\" AS t"  # noqa: S608
        found[table] = await conn.fetchval(rows)
    return found


async def tenant_columns(
    conn: "asyncpg.Connection[asyncpg.Record]", types: Sequence[str] = TEXTS
) -> list[tuple[str, str, str]]:
    """Tables that belong to municipalities, with their columns of some types: texts, where none are given."""
    return [(row[0], row[1], row[2]) for row in await conn.fetch(COLUMNS, list(types))]


async def contents_apart(conn: "asyncpg.Connection[asyncpg.Record]") -> dict[tuple[str, str], str]:
    """Likewise, by table and municipality id; of tables that belong to none, with an empty one. In one statement."""
    columns = await tenant_columns(conn, ("uuid",))
    owned = {"municipalities": "id"} | {table: name for table, name, _ in columns if name == "municipality_id"}
    parts = [
        f"SELECT '{table}', {f't.{owned[table]}::text' if table in owned else repr('')},"  # noqa: S608 # likewise
        f' md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" AS t GROUP BY 1, 2'
        for (table,) in await conn.fetch(TABLES)
    ]
    return {(row[0], row[1]): row[2] for row in await conn.fetch(" UNION ALL ".join(parts))}
