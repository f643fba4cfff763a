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

-- name: begin_command_session
-- A session without refresh tokens, for an access token that a command gives out; gives its id.
INSERT INTO sessions (municipality_id, resident_id, head_hash, refreshed_at, expires_at, method)
VALUES ($1, $2, ''::bytea, $3, $4, 'COMMAND')
RETURNING id;
