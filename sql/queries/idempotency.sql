-- name: claim_idempotency_key
-- Takes a key for the caller and the operation, or waits for whoever is using it; false where it was used before.
INSERT INTO idempotency_keys (municipality_id, caller_id, operation, key, input_hash, result_id)
VALUES ($1, $2, $3, $4, $5, '00000000-0000-0000-0000-000000000000')
ON CONFLICT DO NOTHING
RETURNING true;

-- name: keep_idempotent_result
-- What the claimed key made.
UPDATE idempotency_keys SET result_id = $5 WHERE municipality_id = $1 AND caller_id = $2 AND operation = $3 AND key = $4;

-- name: idempotent_result
-- What a key made before, and the hash of its input.
SELECT result_id, input_hash FROM idempotency_keys
WHERE municipality_id = $1 AND caller_id = $2 AND operation = $3 AND key = $4;

-- name: prune_idempotency_keys
-- Forgets keys older than the seven days they are promised for.
DELETE FROM idempotency_keys WHERE created_at < now() - interval '7 days';
