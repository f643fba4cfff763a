-- name: revoke_account
-- No token of an account is good any more, nor will one be.
INSERT INTO revocations (municipality_id, kind, subject_id, until)
SELECT $1::uuid, 'ACCOUNT', $2::uuid, {tokens_end}
FROM (SELECT 'COMMAND'::session_method AS method, coalesce(max(s.expires_at) FILTER (WHERE s.method = 'COMMAND'), now()) AS expires_at
  FROM sessions AS s WHERE s.municipality_id = $1 AND s.resident_id = $2) AS s;

-- fragment: tokens_end
greatest(CASE WHEN s.method = 'COMMAND' THEN s.expires_at END, now() + interval '20 minutes')

-- name: reopen
-- What an account has open is closed, so that it comes back with the roles of now.
INSERT INTO revocations (municipality_id, kind, subject_id, until) VALUES ($1, 'ROLES', $2, now() + interval '1 minute');
