-- name: register_resident
-- A new account.
INSERT INTO residents (municipality_id, display_name, locale, strength) VALUES ($1, $2, $3, $4::identity_strength)
RETURNING id;

-- name: resident
-- An account with its roles beside RESIDENT; no row for what is left of one that was joined into another or erased.
SELECT r.id, r.display_name, r.strength::text, r.official_id,
  ARRAY(SELECT DISTINCT o.role::text FROM resident_roles AS o WHERE o.municipality_id = r.municipality_id AND o.resident_id = r.id),
  r.locale
FROM residents AS r
WHERE r.municipality_id = $1 AND r.id = $2 AND r.joined_into_id IS NULL AND r.erased_at IS NULL;

-- name: update_profile
-- What somebody is called and reads; null keeps.
UPDATE residents SET display_name = coalesce($3, display_name), locale = coalesce($4, locale)
WHERE municipality_id = $1 AND id = $2 AND (display_name, locale) IS DISTINCT FROM (coalesce($3, display_name), coalesce($4, locale));

-- name: residents_by_id
-- Names of residents, in any order; of those alone that still are somebody's.
SELECT id, display_name FROM residents
WHERE municipality_id = $1 AND id = ANY($2::uuid[]) AND joined_into_id IS NULL AND erased_at IS NULL;

-- name: roles
-- The roles an account holds now, beside RESIDENT.
SELECT role::text FROM resident_roles WHERE municipality_id = $1 AND resident_id = $2;

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
