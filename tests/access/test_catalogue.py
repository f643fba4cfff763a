"""What PostgreSQL's catalogue says of tenancy: every key of every table begins with, or carries, the municipality."""

import asyncpg
import pytest

pytestmark = pytest.mark.anyio

# Tables that are nobody's, and why.
OF_NO_MUNICIPALITY = {
    "municipalities": "the tenants themselves",
    "status_transitions": "a rule of law for all of them",
    "schema_migrations": "bookkeeping of migrations",
    "pgqueuer": "jobs: what they are about, and where, is in the payload",
    "pgqueuer_log": "likewise",
    "pgqueuer_schedules": "when chores ran that are for everybody",
    "pgqueuer_statistics": "how many jobs ran",
}
# Unique for all municipalities together, and why that tells none about another.
UNIQUE_EVERYWHERE = {
    "municipalities_pkey": "the tenants' own ids",
    "municipalities_slug_key": "their names, set by the command line",
}
INDEXES = """
SELECT t.relname AS "table", x.relname AS index, i.indisprimary AS "primary",
  ARRAY(SELECT a.attname::text FROM unnest(i.indkey[:i.indnkeyatts - 1]) WITH ORDINALITY AS k (n, at)
    LEFT JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.n ORDER BY k.at) AS columns
FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid JOIN pg_class AS x ON x.oid = i.indexrelid
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND i.indisunique ORDER BY 1, 2
"""
REFERENCES = """
SELECT c.conname AS name, t.relname AS "table", target.relname AS target,
  ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (n, at)
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.at) AS own,
  ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k (n, at)
    JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY k.at) AS theirs
FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = c.conrelid JOIN pg_class AS target ON target.oid = c.confrelid
WHERE c.contype = 'f' AND t.relnamespace = 'public'::regnamespace ORDER BY 1
"""
# Columns that hold the id of something, and are no part of a foreign key with the municipality in it.
LOOSE_IDS = """
SELECT t.relname || '.' || a.attname FROM pg_class AS t JOIN pg_attribute AS a ON a.attrelid = t.oid
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
  AND a.atttypid = 'uuid'::regtype AND a.attname NOT IN ('id', 'municipality_id')
  AND t.relname NOT LIKE 'pgqueuer%' AND NOT EXISTS (
    SELECT FROM pg_constraint AS c WHERE c.contype = 'f' AND c.conrelid = t.oid AND a.attnum = ANY (c.conkey))
ORDER BY 1
"""
# Which ones those are, and why.
REFERS_TO_ANYTHING = {
    "audit_entries.actor_id": "kept after the account is gone",
    "audit_entries.subject_id": "of any type",
    "idempotency_keys.caller_id": "nobody, where there is no account yet",
    "idempotency_keys.result_id": "of any type",
    "ideas.was_district_id": "where it was at midnight, which may be gone",
    "ideas.was_theme_id": "likewise",
    "notifications.event_id": "a response, or an event of its own",
    "public_changes.subject_id": "of any type",
    "revocations.subject_id": "a session or an account",
}

Connection = asyncpg.Connection  # of whatever record


async def test_every_table_is_keyed_by_municipality_first(conn: "Connection[asyncpg.Record]") -> None:
    tables = {row[0] for row in await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    primary = {row["table"]: row["columns"] for row in await conn.fetch(INDEXES) if row["primary"]}
    assert {
        table for table in tables if primary.get(table, [None])[0] != "municipality_id"
    } == OF_NO_MUNICIPALITY.keys()
    assert len(tables) > 25


async def test_whatever_is_unique_is_unique_within_a_municipality(conn: "Connection[asyncpg.Record]") -> None:
    nobodys = OF_NO_MUNICIPALITY.keys() - {"municipalities"}
    rows = [row for row in await conn.fetch(INDEXES) if row["table"] not in nobodys]
    assert {row["index"] for row in rows if "municipality_id" not in row["columns"]} == UNIQUE_EVERYWHERE.keys()
    assert len(rows) > 40


async def test_no_reference_can_cross_municipalities(conn: "Connection[asyncpg.Record]") -> None:
    rows = [row for row in await conn.fetch(REFERENCES) if row["table"] not in OF_NO_MUNICIPALITY]
    for row in rows:
        if row["target"] == "municipalities":
            assert (row["own"], row["theirs"]) == (["municipality_id"], ["id"]), row["name"]
        elif row["target"] not in OF_NO_MUNICIPALITY:
            assert row["own"][0] == row["theirs"][0] == "municipality_id", row["name"]
            assert len(row["own"]) > 1, row["name"]
    assert len(rows) > 40


async def test_ids_without_a_reference_are_known(conn: "Connection[asyncpg.Record]") -> None:
    assert [row[0] for row in await conn.fetch(LOOSE_IDS)] == sorted(REFERS_TO_ANYTHING)
