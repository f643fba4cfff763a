-- name: request_email_code
-- A new challenge for an address; the one before it ends. $1 municipality, $2 id, $7 whose token asked. Gives when it ends.
INSERT INTO email_challenges (municipality_id, id, email_hash, sealed_email, code_hash, link_hash, resident_id, locale, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + interval '15 minutes')
ON CONFLICT ON CONSTRAINT email_challenges_newest_alone DO UPDATE SET
  id = excluded.id, sealed_email = excluded.sealed_email, code_hash = excluded.code_hash, link_hash = excluded.link_hash,
  resident_id = excluded.resident_id, locale = excluded.locale, tries = 0, expires_at = excluded.expires_at
RETURNING expires_at;

-- name: try_email_code
-- Counts a try at a challenge of who asks ($3), and gives it; no row where there is none that can be tried.
UPDATE email_challenges SET tries = tries + 1
WHERE municipality_id = $1 AND id = $2 AND resident_id IS NOT DISTINCT FROM $3 AND tries < 5 AND expires_at > now()
RETURNING id, email_hash, sealed_email, code_hash, locale;

-- name: email_code_of_link
-- The challenge of who asks ($3) that a link was mailed for. Tries at its code take nothing from it: nobody guesses a link.
SELECT id, email_hash, sealed_email, code_hash, locale FROM email_challenges
WHERE municipality_id = $1 AND link_hash = $2 AND resident_id IS NOT DISTINCT FROM $3 AND expires_at > now();

-- name: spend_email_code
-- Uses a challenge up; no row where somebody else just did, or a newer one took its place.
DELETE FROM email_challenges WHERE municipality_id = $1 AND id = $2 AND expires_at > now()
RETURNING true;

-- name: prune_email_codes
-- Forgets addresses that nobody confirmed in time.
DELETE FROM email_challenges WHERE expires_at < now();
