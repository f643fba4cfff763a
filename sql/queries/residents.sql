-- name: register_resident
-- A new account.
INSERT INTO residents (municipality_id, display_name, locale, strength) VALUES ($1, $2, $3, $4::identity_strength)
RETURNING id;

-- name: resident
-- An account with its roles beside RESIDENT.
SELECT r.id, r.display_name, r.strength::text, r.official_id,
  ARRAY(SELECT DISTINCT o.role::text FROM resident_roles AS o WHERE o.municipality_id = r.municipality_id AND o.resident_id = r.id)
FROM residents AS r
WHERE r.municipality_id = $1 AND r.id = $2;

-- name: residents_by_id
-- Names of residents, in any order.
SELECT id, display_name FROM residents WHERE municipality_id = $1 AND id = ANY($2::uuid[]);

-- name: roles
-- The roles an account holds now, beside RESIDENT.
SELECT role::text FROM resident_roles WHERE municipality_id = $1 AND resident_id = $2;

-- name: grant_role
-- Gives a role on the word of a source; no row where that source has given it already.
INSERT INTO resident_roles (municipality_id, resident_id, role, source) VALUES ($1, $2, $3::role, $4)
ON CONFLICT DO NOTHING
RETURNING role::text;

-- name: seat_official
-- A new post at the end of a department, its holder, and the holder's account.
WITH post AS (
  INSERT INTO posts (municipality_id, department_id, titles, position)
  SELECT $1, $2, $3, coalesce(max(position), 0) + 1 FROM posts WHERE municipality_id = $1 AND department_id = $2
  RETURNING municipality_id, id
), official AS (
  INSERT INTO officials (municipality_id, post_id, name) SELECT municipality_id, id, $4 FROM post
  RETURNING municipality_id, id
)
INSERT INTO residents (municipality_id, display_name, locale, strength, official_id)
SELECT municipality_id, $4, $5, $6::identity_strength, id FROM official
RETURNING id;
