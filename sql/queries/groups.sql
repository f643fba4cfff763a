-- fragment: group_columns
g.id, g.display_name, g.kind::text, g.description, g.approves_members, g.member_count

-- name: groups_by_id
-- The groups asked for, in any order.
SELECT {group_columns} FROM groups AS g WHERE g.municipality_id = $1 AND g.id = ANY($2::uuid[]);

-- name: groups_of_ideas
-- The groups that own ideas together; of each idea the one that threw it first. At most 10 an idea.
SELECT o.idea_id, {group_columns}
FROM idea_groups AS o JOIN groups AS g ON g.municipality_id = o.municipality_id AND g.id = o.group_id
WHERE o.municipality_id = $1 AND o.idea_id = ANY($2::uuid[])
ORDER BY o.idea_id, o.position;

-- name: viewer_group_roles
-- What somebody is in some groups; no row where nothing.
SELECT m.group_id, m.role::text FROM group_members AS m
WHERE m.municipality_id = $1 AND m.resident_id = $2 AND m.group_id = ANY($3::uuid[]);

-- name: group_page
-- The groups of a kind ($2) with a text in their names ($3, its wildcards escaped), newest first; null asks for nothing.
-- $4 the group to go on after.
SELECT {group_columns} FROM groups AS g
WHERE g.municipality_id = $1 AND g.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  AND ($2::text IS NULL OR g.kind = $2::text::group_kind)
  AND ($3::text IS NULL OR lower(g.display_name) LIKE '%' || lower($3) || '%')
ORDER BY g.id DESC
LIMIT $5;

-- name: viewer_group_page
-- The groups somebody is anything in, those asked to join too; newest group first. $3 the group to go on after.
SELECT {group_columns}
FROM group_members AS m JOIN groups AS g ON g.municipality_id = m.municipality_id AND g.id = m.group_id
WHERE m.municipality_id = $1 AND m.resident_id = $2
  AND m.group_id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY m.group_id DESC
LIMIT $4;

-- name: member_pages
-- Of each group that the viewer ($2) is a member of: who is in it, longest first, beyond $4 and $5. Requests that wait
-- for approval are there for contacts alone.
SELECT parent.number, page.resident_id, page.display_name, page.role, page.joined_at
FROM unnest($3::uuid[]) WITH ORDINALITY AS parent (id, number)
JOIN group_members AS viewer ON viewer.municipality_id = $1 AND viewer.group_id = parent.id
  AND viewer.resident_id = $2 AND viewer.role <> 'PENDING'
CROSS JOIN LATERAL (
  SELECT m.resident_id, r.display_name, m.role::text, m.joined_at
  FROM group_members AS m
  JOIN residents AS r ON r.municipality_id = m.municipality_id AND r.id = m.resident_id
  WHERE m.municipality_id = $1 AND m.group_id = parent.id AND (m.role <> 'PENDING' OR viewer.role = 'CONTACT')
    AND (m.joined_at, m.resident_id) > (coalesce($4::timestamptz, '-infinity'), $5::uuid)
  ORDER BY m.joined_at, m.resident_id
  LIMIT $6
) AS page
ORDER BY parent.number, page.joined_at, page.resident_id;

-- name: lock_creations
-- Lets one call of a person at a time count and create, until the transaction ends. Not a row lock: votes take those.
SELECT pg_advisory_xact_lock(hashtextextended('groups of ' || $1::uuid || $2::uuid, 0));

-- name: groups_created_lately
-- How many groups somebody created in the last 24 hours; leaving one does not make room for another.
SELECT count(*)
FROM idempotency_keys AS k JOIN groups AS g ON g.municipality_id = k.municipality_id AND g.id = k.result_id
WHERE k.municipality_id = $1 AND k.caller_id = $2 AND k.operation = 'createGroup' AND k.created_at > now() - interval '1 day';

-- name: create_group
-- A new group with its creator as contact.
WITH created AS (
  INSERT INTO groups (municipality_id, display_name, kind, description, approves_members, member_count)
  VALUES ($1, $3, $4::text::group_kind, $5, $6, 1)
  RETURNING municipality_id, id
), contact AS (
  INSERT INTO group_members (municipality_id, group_id, resident_id, role) SELECT municipality_id, id, $2, 'CONTACT' FROM created
)
SELECT id FROM created;

-- name: group_for_update
-- One group, locked until the transaction ends: who is in it changes under this lock alone.
SELECT {group_columns} FROM groups AS g WHERE g.municipality_id = $1 AND g.id = $2 FOR NO KEY UPDATE;

-- name: group_roles
-- What some residents are in a locked group; no row where nothing.
SELECT m.resident_id, m.role::text FROM group_members AS m
WHERE m.municipality_id = $1 AND m.group_id = $2 AND m.resident_id = ANY($3::uuid[]);

-- name: has_other_contact
-- Whether a locked group has a contact beside somebody.
SELECT EXISTS (
  SELECT FROM group_members WHERE municipality_id = $1 AND group_id = $2 AND resident_id <> $3 AND role = 'CONTACT'
);

-- name: join_group
-- Puts somebody who was nothing in a locked group into it, counted unless PENDING.
WITH joined AS (
  INSERT INTO group_members (municipality_id, group_id, resident_id, role) VALUES ($1, $2, $3, $4::text::group_role)
  RETURNING role
)
UPDATE groups AS g SET member_count = g.member_count + 1 FROM joined
WHERE g.municipality_id = $1 AND g.id = $2 AND joined.role <> 'PENDING';

-- name: approve_member
-- Makes a PENDING resident of a locked group a member from now on.
WITH approved AS (
  UPDATE group_members SET role = 'MEMBER', joined_at = date_trunc('milliseconds', clock_timestamp())
  WHERE municipality_id = $1 AND group_id = $2 AND resident_id = $3 AND role = 'PENDING'
  RETURNING resident_id
)
UPDATE groups AS g SET member_count = g.member_count + 1 FROM approved WHERE g.municipality_id = $1 AND g.id = $2;

-- name: leave_group
-- Takes somebody out of a locked group, or their request back.
WITH gone AS (
  DELETE FROM group_members WHERE municipality_id = $1 AND group_id = $2 AND resident_id = $3
  RETURNING role
)
UPDATE groups AS g SET member_count = g.member_count - 1 FROM gone
WHERE g.municipality_id = $1 AND g.id = $2 AND gone.role <> 'PENDING';
