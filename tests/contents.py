"""What a database holds, in short: to show that nothing was changed."""

import asyncpg

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"


async def contents(conn: "asyncpg.Connection[asyncpg.Record]") -> dict[str, str]:
    """Of every table a hash of all its rows."""
    found = {}
    for (table,) in await conn.fetch(TABLES):
        # Names of tables, as the catalogue has them.
        rows = f"SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM \"{table}\" AS t"  # noqa: S608
        found[table] = await conn.fetchval(rows)
    return found
