"""A municipality in which everything is there once and twenty times over, for counting what a list costs."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from backend.ids import global_id

CROWD = 20

# In the general theme's department, all of it made for $1. `few` has one of everything below it, `many` has twenty (ten
# groups an idea, which is the most there may be).
PEOPLE = """
INSERT INTO residents (municipality_id, display_name, locale, strength, official_id)
SELECT $1, 'R' || n, 'fi', 'EMAIL',
  CASE WHEN n <= 2 THEN (SELECT id FROM officials WHERE municipality_id = $1 ORDER BY id LIMIT 1) END
FROM generate_series(1, 20) AS n RETURNING id
"""
OFFICES = """
WITH d AS (
  INSERT INTO departments (municipality_id, names, position)
  SELECT $1, jsonb_build_object('fi', 'D' || n), 100 + n FROM generate_series(1, 40) AS n RETURNING id, position
), p AS (
  INSERT INTO posts (municipality_id, department_id, titles, position)
  SELECT $1, d.id, '{"fi": "P"}', n FROM d, generate_series(1, CASE WHEN d.position <= 120 THEN 1 ELSE 20 END) AS n
  RETURNING id
), o AS (
  INSERT INTO officials (municipality_id, post_id, name) SELECT $1, id, 'O' FROM p
)
SELECT id FROM d ORDER BY position
"""
# The last 20 are in whose names ideas were thrown, and nothing else: a group that was read before is not read again.
GROUPS = """
INSERT INTO groups (municipality_id, display_name, kind, description, approves_members, member_count)
SELECT $1, 'Puistoryhmä ' || n, 'INFORMAL', '', false, CASE WHEN n <= 20 THEN 1 ELSE 20 END
FROM generate_series(1, 60) AS n RETURNING id
"""
# 20 ideas with one of everything, 40 with many, 20 that were merged into the first.
IDEAS = """
WITH numbered AS (
  SELECT n, uuidv7(make_interval(secs => n - 100)) AS id FROM generate_series(1, 80) AS n
), office AS (
  SELECT t.id AS theme_id, t.department_id, p.id AS post_id, d.id AS district_id
  FROM themes AS t, posts AS p, districts AS d
  WHERE t.municipality_id = $1 AND t.is_general AND p.municipality_id = $1 AND p.is_coordinator
    AND d.municipality_id = $1
  ORDER BY d.position LIMIT 1
), idea AS (
  INSERT INTO ideas (municipality_id, id, number, title, body, locale, status, merged_into_id, author_id,
    author_group_id, theme_id, district_id, latitude, longitude, department_id, post_id, reaction_due_at,
    answer_due_at, placed_on, was_theme_id, was_listed)
  SELECT $1, i.id, i.n, 'Penkki puistoon ' || i.n, '', 'fi',
    CASE WHEN i.n > 60 THEN 'MERGED' ELSE 'OPEN' END::idea_status,
    CASE WHEN i.n > 60 THEN (SELECT id FROM numbered WHERE n = 1) END,
    ($2::uuid[])[CASE WHEN i.n = 1 THEN 1 WHEN i.n <= 20 THEN 3 ELSE 2 END],
    ($3::uuid[])[41 + i.n % 20],
    o.theme_id, o.district_id, 60, 25, o.department_id, o.post_id, now(), now(), current_date - 1, o.theme_id, true
  FROM numbered AS i, office AS o
), tally AS (
  INSERT INTO idea_tallies (municipality_id, idea_id, email_count, vote_count, changed_on)
  SELECT $1, id, 1, 1, current_date - 1 FROM numbered
), day AS (
  INSERT INTO tally_days (municipality_id, idea_id, day, vote_count, changed_on)
  SELECT $1, id, current_date - d, 1, current_date - 1 FROM numbered, generate_series(-1, 3) AS d
)
SELECT id FROM numbered ORDER BY n
"""
# $2 people, $3 groups, $4 ideas, $5 local day.
BONDS = """
WITH few_member AS (
  INSERT INTO group_members (municipality_id, group_id, resident_id, role)
  SELECT $1, unnest(($3::uuid[])[1:20]), ($2::uuid[])[2], 'CONTACT'
), many_member AS (
  INSERT INTO group_members (municipality_id, group_id, resident_id, role)
  SELECT $1, g, r, 'CONTACT' FROM unnest(($3::uuid[])[21:40]) AS g, unnest($2::uuid[]) AS r
  WHERE r <> ($2::uuid[])[1] OR g = ($3::uuid[])[21]
), few_owner AS (
  INSERT INTO idea_groups (municipality_id, idea_id, group_id, position)
  SELECT $1, ($4::uuid[])[n], ($3::uuid[])[n], 1 FROM generate_series(1, 20) AS n
), many_owner AS (
  INSERT INTO idea_groups (municipality_id, idea_id, group_id, position)
  SELECT $1, ($4::uuid[])[20 + n], ($3::uuid[])[21 + (n + k) % 20], k
  FROM generate_series(1, 40) AS n, generate_series(1, 10) AS k
), follow AS (
  INSERT INTO follows (municipality_id, resident_id, idea_id)
  SELECT $1, ($2::uuid[])[2], unnest(($4::uuid[])[21:40]) UNION ALL SELECT $1, ($2::uuid[])[1], ($4::uuid[])[1]
), vote AS (
  INSERT INTO votes (municipality_id, idea_id, resident_id, voted, strength, channel, cast_at, decided_at)
  SELECT $1, idea, resident, true, 'EMAIL', 'PHONE', now(), now() FROM (
    SELECT unnest(($4::uuid[])[21:40]) AS idea, ($2::uuid[])[2] AS resident
    UNION ALL SELECT ($4::uuid[])[1], ($2::uuid[])[1]) AS v
), response AS (
  INSERT INTO responses (municipality_id, idea_id, kind, body, official_id, department_id, to_department_id,
    to_official_id, status_before, status_after)
  SELECT $1, i.id, 'TRANSFER', 'Siirrämme.', o.id, i.department_id, i.department_id, o.id, 'OPEN', 'OPEN'
  FROM unnest(($4::uuid[])[1:60]) WITH ORDINALITY AS idea (id, n)
  JOIN ideas AS i ON i.municipality_id = $1 AND i.id = idea.id
  CROSS JOIN (SELECT id FROM officials WHERE municipality_id = $1 ORDER BY id LIMIT 1) AS o
  CROSS JOIN LATERAL generate_series(1, CASE WHEN idea.n <= 20 THEN 1 ELSE 20 END)
  RETURNING id, idea_id
), identity AS (
  INSERT INTO identities (municipality_id, kind, subject_hash, resident_id, email)
  SELECT $1, 'EMAIL', sha256(n::text::bytea), ($2::uuid[])[CASE WHEN n = 0 THEN 1 ELSE 2 END], n || '@example.fi'
  FROM generate_series(0, 20) AS n
), notification AS (
  INSERT INTO notifications (municipality_id, resident_id, event_id, kind, idea_id, response_id)
  SELECT DISTINCT ON (r.idea_id) $1::uuid, ($2::uuid[])[CASE WHEN i.n = 1 THEN 1 ELSE 2 END], r.id,
    'RESPONSE'::notification_kind, r.idea_id, r.id
  FROM response AS r JOIN unnest($4::uuid[]) WITH ORDINALITY AS i (id, n) ON i.id = r.idea_id
  WHERE i.n = 1 OR i.n > 20
), invitation AS (
  INSERT INTO invitations (municipality_id, secret_hash, email, role, official_id, source, invited_by_id, expires_at)
  SELECT $1, sha256(n::text::bytea), n || '@example.fi', 'OFFICIAL', o.id, 'ADMINISTRATOR', ($2::uuid[])[2],
    now() + interval '7 days'
  FROM generate_series(1, 20) AS n
  CROSS JOIN (SELECT id FROM officials WHERE municipality_id = $1 ORDER BY id LIMIT 1) AS o
), passkey AS (
  INSERT INTO passkeys (municipality_id, resident_id, credential_hash, public_key, sign_count, name)
  SELECT $1, ($2::uuid[])[CASE WHEN n = 1 THEN 1 ELSE 2 END], sha256(n::text::bytea), '', 0, 'P' || n
  FROM generate_series(1, 21) AS n
), session AS (
  INSERT INTO sessions (municipality_id, resident_id, head_hash, refreshed_at, expires_at)
  SELECT $1, ($2::uuid[])[2], '', now(), now() + interval '90 days' FROM generate_series(1, 20)
)
INSERT INTO resident_roles (municipality_id, resident_id, role)
SELECT $1, ($2::uuid[])[n], role::role FROM (VALUES (1, 'OFFICIAL'), (2, 'OFFICIAL'), (2, 'COORDINATOR'),
  (2, 'MODERATOR'), (2, 'ADMINISTRATOR')) AS v (n, role)
UNION ALL SELECT $1, unnest(($2::uuid[])[3:20]), 'MODERATOR'
"""


# $2 people: copies of somebody's data.
PAPERS = """
INSERT INTO data_exports (municipality_id, resident_id, secret_hash)
SELECT $1, ($2::uuid[])[CASE WHEN n = 1 THEN 1 ELSE 2 END], sha256(n::text::bytea) FROM generate_series(1, 21) AS n
"""
# An entry of each of $2 people.
AUDIT = """
SELECT append_audit_entry($1, id, 'DONE', id, '{}') FROM unnest($2::uuid[]) AS id
"""


@dataclass(frozen=True)
class Crowd:
    """Ids by type: of objects that have one of everything, and of objects that have many. So two callers as well."""

    few: dict[str, list[str]]
    many: dict[str, list[str]]
    few_caller: UUID
    many_caller: UUID


async def gather_crowd(conn: "asyncpg.Connection[asyncpg.Record]", municipality_id: UUID) -> Crowd:
    async def ids(statement: str, *values: object) -> list[UUID]:
        return [row[0] for row in await conn.fetch(statement, municipality_id, *values)]

    people, departments, groups = await ids(PEOPLE), await ids(OFFICES), await ids(GROUPS)
    ideas = await ids(IDEAS, people, groups)
    await conn.execute(BONDS, municipality_id, people, groups, ideas)
    await conn.execute(PAPERS, municipality_id, people)
    await conn.execute(AUDIT, municipality_id, people)
    few = {"Department": departments[:20], "Group": groups[:20], "Idea": ideas[:20], "Municipality": [municipality_id]}
    many = {"Department": departments[20:], "Group": groups[20:40], "Idea": ideas[20:40]}
    many["Municipality"] = few["Municipality"]
    # These have no lists below them, so twenty of them are as good as twenty others.
    for type_name in ("Resident", "District", "Theme", "Official", "Response", "Notification", "Session"):
        mine = " AND resident_id = $2" if type_name in ("Notification", "Session") else " AND $2::uuid IS NOT NULL"
        statement = f"SELECT id FROM {type_name.lower()}s WHERE municipality_id = $1{mine} LIMIT 20"  # noqa: S608
        few[type_name] = many[type_name] = await ids(statement, people[1])

    def named(found: dict[str, list[UUID]]) -> dict[str, list[str]]:
        return {type_name: [global_id(type_name, id) for id in each] for type_name, each in found.items()}

    return Crowd(named(few), named(many), people[0], people[1])
