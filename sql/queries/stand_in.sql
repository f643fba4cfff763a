-- name: resident_of
-- Whose account the first known of some identities belongs to.
SELECT i.resident_id FROM unnest($2::text[], $3::bytea[]) WITH ORDINALITY AS asked (kind, subject_hash, position)
JOIN identities AS i ON i.municipality_id = $1 AND i.kind = asked.kind AND i.subject_hash = asked.subject_hash
ORDER BY asked.position LIMIT 1;

-- name: prove
-- Gives an account identities and a strength.
WITH raised AS (
  UPDATE residents SET strength = greatest(strength, $5::identity_strength) WHERE municipality_id = $1 AND id = $2
)
INSERT INTO identities (municipality_id, resident_id, kind, subject_hash)
SELECT $1, $2, kind, subject_hash FROM unnest($3::text[], $4::bytea[]) AS asked (kind, subject_hash)
ON CONFLICT DO NOTHING;
