-- name: start_session
-- A session with its first refresh token, which is its head; gives the session's id.
WITH session AS (
  INSERT INTO sessions (municipality_id, resident_id, head_hash, refreshed_at, expires_at, method, device_name)
  VALUES ($1, $2, $3, $4, $5, $6::session_method, $7)
  RETURNING municipality_id, id, head_hash, refreshed_at
), token AS (
  INSERT INTO refresh_tokens (municipality_id, token_hash, session_id, issued_at)
  SELECT municipality_id, head_hash, id, refreshed_at FROM session
)
SELECT id FROM session;

-- name: lock_session_by_refresh_token
-- The presented token with its session, locked; the row is the session's newest, also after waiting for another refresh.
SELECT
  sessions.id AS session_id, sessions.resident_id, refresh_tokens.token_hash, refresh_tokens.parent_hash,
  sessions.head_hash, sessions.expires_at, sessions.ended_at
FROM refresh_tokens
JOIN sessions ON sessions.municipality_id = refresh_tokens.municipality_id AND sessions.id = refresh_tokens.session_id
WHERE refresh_tokens.municipality_id = $1 AND refresh_tokens.token_hash = $2
FOR UPDATE OF sessions;

-- name: rotate_session
-- Under the session's lock: the presented token ($3) becomes or stays the head, and gets one more child ($4).
WITH session AS (
  UPDATE sessions SET head_hash = $3, refreshed_at = $5, expires_at = $6
  WHERE municipality_id = $1 AND id = $2
  RETURNING municipality_id, id, head_hash, refreshed_at
)
INSERT INTO refresh_tokens (municipality_id, token_hash, session_id, parent_hash, issued_at)
SELECT municipality_id, $4::bytea, id, head_hash, refreshed_at FROM session;

-- name: end_session
-- Ends a session for good, and calls its access tokens back; one that has ended keeps its moment.
WITH s AS (
  UPDATE sessions SET ended_at = $3
  WHERE municipality_id = $1 AND id = $2 AND ended_at IS NULL
  RETURNING municipality_id, id, method, expires_at
)
INSERT INTO revocations (municipality_id, kind, subject_id, until)
SELECT s.municipality_id, 'SESSION', s.id, {tokens_end} FROM s;

-- name: end_sessions
-- Ends all sessions of an account but one ($3, null for none of them to stay), and calls their access tokens back; gives their ids.
WITH s AS (
  UPDATE sessions SET ended_at = $4
  WHERE municipality_id = $1 AND resident_id = $2 AND ended_at IS NULL AND expires_at > $4 AND id IS DISTINCT FROM $3::uuid
  RETURNING municipality_id, id, method, expires_at
), revoked AS (
  INSERT INTO revocations (municipality_id, kind, subject_id, until)
  SELECT s.municipality_id, 'SESSION', s.id, {tokens_end} FROM s
)
SELECT id FROM s;

-- name: lock_account
-- Lets one sign-in of an account go on at a time.
SELECT FROM residents WHERE municipality_id = $1 AND id = $2 FOR NO KEY UPDATE;

-- name: end_oldest_sessions
-- Under the account's lock: ends the live sessions of an account but $3 and the $5 that were used last beside it, and calls
-- their access tokens back.
WITH oldest AS (
  SELECT o.id FROM sessions AS o
  WHERE o.municipality_id = $1 AND o.resident_id = $2 AND o.id <> $3 AND o.ended_at IS NULL AND o.expires_at > $4
  ORDER BY o.refreshed_at DESC, o.id DESC
  OFFSET $5
), s AS (
  UPDATE sessions SET ended_at = $4
  WHERE municipality_id = $1 AND id IN (SELECT oldest.id FROM oldest) AND ended_at IS NULL
  RETURNING municipality_id, id, method, expires_at
), revoked AS (
  INSERT INTO revocations (municipality_id, kind, subject_id, until)
  SELECT s.municipality_id, 'SESSION', s.id, {tokens_end} FROM s
)
SELECT id FROM s;

-- name: is_session_of
-- Whether a session, ended or not, is an account's.
SELECT EXISTS (SELECT FROM sessions WHERE municipality_id = $1 AND id = $3 AND resident_id = $2);

-- name: has_ended_session
-- Whether any session of an account was ended, by its owner, by reuse or for being one too many.
SELECT EXISTS (SELECT FROM sessions WHERE municipality_id = $1 AND resident_id = $2 AND ended_at IS NOT NULL);

-- fragment: session_columns
s.id, s.method::text, s.device_name, uuid_extract_timestamp(s.id), s.refreshed_at, s.expires_at

-- fragment: session_lives
s.ended_at IS NULL AND s.expires_at > now()

-- name: session_page
-- An account's sessions begun before $3, the latest first.
SELECT {session_columns} FROM sessions AS s
WHERE s.municipality_id = $1 AND s.resident_id = $2 AND s.id < $3 AND {session_lives}
ORDER BY s.id DESC
LIMIT $4;

-- name: sessions_by_id
-- Those of the ids that are an account's own sessions, in any order.
SELECT {session_columns} FROM sessions AS s
WHERE s.municipality_id = $1 AND s.resident_id = $2 AND s.id = ANY($3::uuid[]) AND {session_lives};

-- fragment: session_over
least(s.ended_at, s.expires_at) < now() - make_interval(days => $2)

-- name: prune_refresh_tokens_of_sessions
-- Forgets refresh tokens of sessions that are to be forgotten ($2 days after their end); at most $1 at a time, since one may have thousands.
DELETE FROM refresh_tokens WHERE (municipality_id, token_hash) IN (
  SELECT t.municipality_id, t.token_hash FROM sessions AS s
  JOIN refresh_tokens AS t ON t.municipality_id = s.municipality_id AND t.session_id = s.id
  WHERE {session_over}
  LIMIT $1
);

-- name: prune_sessions
-- Forgets sessions $2 days after their end, once they have no refresh tokens; at most $1 at a time.
DELETE FROM sessions WHERE (municipality_id, id) IN (
  SELECT s.municipality_id, s.id FROM sessions AS s
  WHERE {session_over} AND NOT EXISTS (
    SELECT FROM refresh_tokens AS t WHERE t.municipality_id = s.municipality_id AND t.session_id = s.id)
  LIMIT $1
);

-- name: prune_refresh_tokens
-- Forgets spent refresh tokens once nobody can hold them in good faith (docs/adr/0025-sessions.md): those issued a
-- session's lifetime ago, but a head and its children; at most $1 at a time, the oldest first.
DELETE FROM refresh_tokens WHERE (municipality_id, token_hash) IN (
  SELECT t.municipality_id, t.token_hash FROM refresh_tokens AS t
  JOIN sessions AS s ON s.municipality_id = t.municipality_id AND s.id = t.session_id
  WHERE t.issued_at < now() - interval '90 days'
    AND t.token_hash <> s.head_hash AND t.parent_hash IS DISTINCT FROM s.head_hash
  ORDER BY t.issued_at
  LIMIT $1
);

-- name: begin_command_session
-- A session without refresh tokens, for an access token that a command gives out; gives its id.
INSERT INTO sessions (municipality_id, resident_id, head_hash, refreshed_at, expires_at, method)
VALUES ($1, $2, ''::bytea, $3, $4, 'COMMAND')
RETURNING id;
