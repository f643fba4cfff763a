-- name: add_challenge
-- Something to sign: for a new passkey of $2, or where that is null for signing in.
INSERT INTO passkey_challenges (municipality_id, resident_id, challenge, expires_at) VALUES ($1, $2, $3, $4)
RETURNING id;

-- name: take_challenge
-- A challenge of the same purpose and account, spent by this; no row where there is none, or it has expired.
DELETE FROM passkey_challenges
WHERE municipality_id = $1 AND id = $2 AND resident_id IS NOT DISTINCT FROM $3::uuid AND expires_at > now()
RETURNING challenge;

-- name: prune_challenges
-- Forgets what was never signed.
DELETE FROM passkey_challenges WHERE expires_at < now();

-- fragment: passkey_columns
p.id, p.name, p.created_at, p.last_used_at

-- name: passkeys_of
-- The passkeys of an account, oldest first.
SELECT {passkey_columns} FROM passkeys AS p WHERE p.municipality_id = $1 AND p.resident_id = $2 ORDER BY p.id;

-- name: add_passkey
-- A new passkey; no row where its credential is known already.
INSERT INTO passkeys AS p (municipality_id, resident_id, credential_hash, public_key, sign_count, name)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT ON CONSTRAINT passkeys_credential_hash_key DO NOTHING
RETURNING {passkey_columns};

-- name: credential
-- Whose a credential is, and how it is verified; nobody's where the account was erased or joined into another.
SELECT p.id, p.resident_id, p.public_key, p.sign_count
FROM passkeys AS p JOIN residents AS r ON r.municipality_id = p.municipality_id AND r.id = p.resident_id
WHERE p.municipality_id = $1 AND p.credential_hash = $2 AND r.erased_at IS NULL AND r.joined_into_id IS NULL;

-- name: use_passkey
-- Keeps what a passkey counted. No row where it is gone, or has counted as far by now: then somebody has a copy.
UPDATE passkeys SET sign_count = $3, last_used_at = now()
WHERE municipality_id = $1 AND id = $2 AND (sign_count < $3 OR (sign_count = 0 AND $3 = 0))
RETURNING id;

-- name: remove_passkey
-- Takes one of somebody's own passkeys away.
DELETE FROM passkeys AS p WHERE p.municipality_id = $1 AND p.resident_id = $2 AND p.id = $3
RETURNING {passkey_columns};
