-- name: accounts_of
-- To whom identities belong; no row for one that is nobody's. $2 kinds, $3 their hashes.
SELECT i.kind, i.subject_hash, i.resident_id
FROM unnest($2::text[], $3::bytea[]) AS n (kind, subject_hash)
JOIN identities AS i ON i.municipality_id = $1 AND i.kind = n.kind AND i.subject_hash = n.subject_hash;

-- name: final_account
-- The account that one was joined into, and that one, to the end; itself where it wasn't.
WITH RECURSIVE chain AS (
  SELECT r.id, r.joined_into_id FROM residents AS r WHERE r.municipality_id = $1 AND r.id = $2
  UNION ALL
  SELECT r.id, r.joined_into_id FROM chain AS c JOIN residents AS r ON r.municipality_id = $1 AND r.id = c.joined_into_id
)
SELECT id FROM chain WHERE joined_into_id IS NULL;

-- fragment: all_accounts
-- An account ($2) with all that were joined into it, also through another.
(WITH RECURSIVE own AS (
  SELECT $2::uuid AS id
  UNION
  SELECT r.id FROM own AS o JOIN residents AS r ON r.municipality_id = $1 AND r.joined_into_id = o.id
) SELECT own.id FROM own)

-- name: all_accounts
-- An account and all that were joined into it.
SELECT a.id FROM {all_accounts} AS a ORDER BY a.id;

-- name: hold_accounts
-- Accounts locked until the transaction ends, in the order of their ids: nobody else changes their votes, since set_votes
-- locks them too.
SELECT r.id, r.strength::text, r.official_id, r.erased_at IS NOT NULL, r.erasure_asked_at IS NOT NULL,
  r.joined_into_id
FROM residents AS r
WHERE r.municipality_id = $1 AND r.id = ANY($2::uuid[])
ORDER BY r.id
FOR NO KEY UPDATE;

-- name: account_facts
-- Of accounts that are locked: by which persons they were proven, and whether they have a role beside RESIDENT.
SELECT n.id,
  ARRAY(SELECT i.subject_hash FROM identities AS i WHERE i.municipality_id = $1 AND i.resident_id = n.id AND i.kind = 'PERSON'),
  EXISTS (SELECT FROM resident_roles AS o WHERE o.municipality_id = $1 AND o.resident_id = n.id)
FROM unnest($2::uuid[]) AS n (id);

-- name: add_identities
-- Gives an account ($2) the identities that are nobody's, or its own already; gives a row for each of these. Waits for whoever is
-- adding one of them at this moment.
INSERT INTO identities AS i (municipality_id, kind, subject_hash, resident_id, email)
SELECT $1, n.kind, n.subject_hash, $2, n.email
FROM unnest($3::text[], $4::bytea[], $5::text[]) AS n (kind, subject_hash, email)
ORDER BY n.kind, n.subject_hash
ON CONFLICT (municipality_id, kind, subject_hash) DO UPDATE SET email = coalesce(excluded.email, i.email), proven_at = now()
WHERE i.resident_id = excluded.resident_id
RETURNING true;

-- name: raise_resident
-- Makes a locked account as strong as it has proven to be; no row where it was.
UPDATE residents SET strength = $3::identity_strength
WHERE municipality_id = $1 AND id = $2 AND strength < $3::identity_strength
RETURNING true;

-- name: revive_resident
-- An account whose person was forgotten, and came back.
UPDATE residents SET erased_at = NULL, display_name = $3, locale = $4
WHERE municipality_id = $1 AND id = $2 AND erased_at IS NOT NULL;

-- name: emails
-- The addresses an account was proven by, oldest proof first.
SELECT email FROM identities
WHERE municipality_id = $1 AND resident_id = $2 AND kind = 'EMAIL' AND email IS NOT NULL
ORDER BY proven_at, email;
