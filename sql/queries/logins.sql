-- name: begin_login
-- A login that has begun; also puts one back that was taken for nothing.
INSERT INTO login_attempts
  (municipality_id, state_hash, provider_id, redirect_uri, code_challenge, locale, resident_id, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: take_login
-- Takes a login out, so that its state is good once. Whose it is not, and who is late, leaves it where it is.
DELETE FROM login_attempts
WHERE municipality_id = $1 AND state_hash = $2 AND resident_id IS NOT DISTINCT FROM $3::uuid AND expires_at > $4
RETURNING provider_id, redirect_uri, code_challenge, locale, resident_id, expires_at;

-- name: prune_logins
-- Forgets logins that nobody came back from.
DELETE FROM login_attempts WHERE expires_at < now();
