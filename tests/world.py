"""What tests need beside the demo municipality."""

from uuid import UUID

import asyncpg


async def add_municipality(
    conn: "asyncpg.Connection[asyncpg.Record]", slug: str, *, vote_strength: str = "EMAIL"
) -> UUID:
    """A municipality with one of everything that must be there."""
    made: UUID = await conn.fetchval(
        """
        WITH m AS (
          INSERT INTO municipalities (slug, names, population, time_zone, locales, vote_strength)
          VALUES ($1, jsonb_build_object('fi', $1::text), 1000, 'Europe/Helsinki', '{fi}', $2::text::identity_strength)
          RETURNING id
        ), d AS (
          INSERT INTO departments (municipality_id, names, position) SELECT id, '{"fi": "Kanslia"}', 1 FROM m
          RETURNING municipality_id, id
        ), t AS (
          INSERT INTO themes (municipality_id, names, department_id, is_general, position)
          SELECT municipality_id, '{"fi": "Yleinen"}', id, true, 1 FROM d
        ), r AS (
          INSERT INTO districts (municipality_id, names, position) SELECT id, '{"fi": "Keskusta"}', 1 FROM m
        ), p AS (
          INSERT INTO posts (municipality_id, department_id, titles, is_coordinator, position)
          SELECT municipality_id, id, '{"fi": "Sihteeri"}', true, 1 FROM d RETURNING municipality_id, id
        )
        INSERT INTO officials (municipality_id, post_id, name) SELECT municipality_id, id, 'Muu Virkamies' FROM p
        RETURNING municipality_id
        """,
        slug,
        vote_strength,
    )
    return made
