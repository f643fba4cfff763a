-- name: lock_account
-- Somebody's strength and post, locked until the transaction ends: their roles change under this lock alone. No row for
-- who was erased or joined into another account.
SELECT strength::text, official_id FROM residents
WHERE municipality_id = $1 AND id = $2 AND erased_at IS NULL AND joined_into_id IS NULL
FOR NO KEY UPDATE;

-- name: grant_role
-- Gives a role on the word of a source; no row where that source has given it already.
INSERT INTO resident_roles (municipality_id, resident_id, role, source) VALUES ($1, $2, $3::role, $4)
ON CONFLICT DO NOTHING
RETURNING role::text;

-- name: revoke_role
-- Takes a role away on the word of a source, or of all where $4 is null; gives the sources that had given it.
DELETE FROM resident_roles
WHERE municipality_id = $1 AND resident_id = $2 AND role = $3::role AND ($4::text IS NULL OR source = $4)
RETURNING source;

-- name: roles_of_source
-- What a source has said of an account.
SELECT role::text FROM resident_roles WHERE municipality_id = $1 AND resident_id = $2 AND source = $3;

-- name: speaks_by_others
-- Whether a source other than $3 has an account act as somebody who holds a post now.
SELECT EXISTS (
  SELECT FROM resident_roles AS a
  JOIN residents AS r ON r.municipality_id = a.municipality_id AND r.id = a.resident_id
  JOIN officials AS o ON o.municipality_id = r.municipality_id AND o.id = r.official_id AND o.ended_at IS NULL
  WHERE a.municipality_id = $1 AND a.resident_id = $2 AND a.source <> $3 AND a.role IN ('OFFICIAL', 'COORDINATOR')
);

-- name: official_by_email
-- The one post-holder of now with an address at work; no row where there is none, and where there are several.
SELECT (array_agg(id))[1] FROM officials
WHERE municipality_id = $1 AND lower(email) = lower($2) AND ended_at IS NULL
HAVING count(*) = 1;

-- name: lock_administrators
-- Who administers a municipality, locked until the transaction ends, so that two can't take the role from each other.
SELECT a.resident_id
FROM resident_roles AS a JOIN residents AS r ON r.municipality_id = a.municipality_id AND r.id = a.resident_id
WHERE a.municipality_id = $1 AND a.role = 'ADMINISTRATOR' AND r.erased_at IS NULL AND r.joined_into_id IS NULL
ORDER BY a.resident_id, a.source
FOR UPDATE OF a;

-- name: lock_official
-- Whether somebody holds a post now, locked until the transaction ends. No row where there is nobody such.
SELECT ended_at IS NULL FROM officials WHERE municipality_id = $1 AND id = $2 FOR NO KEY UPDATE;

-- name: acts_already
-- Whether an account other than $3 acts as an official.
SELECT EXISTS (
  SELECT FROM residents AS r
  JOIN resident_roles AS a ON a.municipality_id = r.municipality_id AND a.resident_id = r.id
  WHERE r.municipality_id = $1 AND r.official_id = $2 AND r.id <> $3 AND a.role IN ('OFFICIAL', 'COORDINATOR')
    AND r.erased_at IS NULL AND r.joined_into_id IS NULL
);

-- name: act_as
-- Ties an account to an official it speaks as; to none where $3 is null.
UPDATE residents SET official_id = $3 WHERE municipality_id = $1 AND id = $2 AND official_id IS DISTINCT FROM $3;

-- name: leave_post
-- Unties an account that is neither OFFICIAL nor COORDINATOR any more from the official it spoke as.
UPDATE residents AS r SET official_id = NULL
WHERE r.municipality_id = $1 AND r.id = $2 AND r.official_id IS NOT NULL AND NOT EXISTS (
  SELECT FROM resident_roles AS a
  WHERE a.municipality_id = r.municipality_id AND a.resident_id = r.id AND a.role IN ('OFFICIAL', 'COORDINATOR')
);

-- fragment: staff_columns
r.id, r.display_name, r.strength::text, r.official_id,
ARRAY(SELECT a.role::text FROM resident_roles AS a WHERE a.municipality_id = r.municipality_id AND a.resident_id = r.id ORDER BY a.role, a.source),
ARRAY(SELECT a.source FROM resident_roles AS a WHERE a.municipality_id = r.municipality_id AND a.resident_id = r.id ORDER BY a.role, a.source),
ARRAY(SELECT a.granted_at FROM resident_roles AS a WHERE a.municipality_id = r.municipality_id AND a.resident_id = r.id ORDER BY a.role, a.source)

-- name: staff_member
-- An account with its roles, also where it has none.
SELECT {staff_columns} FROM residents AS r WHERE r.municipality_id = $1 AND r.id = $2;

-- name: staff_page
-- Accounts with a role ($2; null for any), oldest account first. $3 the account to go on after.
SELECT {staff_columns}
FROM (
  SELECT DISTINCT a.resident_id FROM resident_roles AS a
  WHERE a.municipality_id = $1 AND ($2::text IS NULL OR a.role = $2::text::role)
    AND a.resident_id > coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
  ORDER BY a.resident_id
  LIMIT $4
) AS found JOIN residents AS r ON r.municipality_id = $1 AND r.id = found.resident_id
ORDER BY r.id;
