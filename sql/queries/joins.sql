-- Joining: everything of the accounts $2 (here one, there several) becomes that of the account $3. All of these are locked before
-- (hold_accounts). Each statement may be run again, for what was written to a joined account since.

-- name: hold_ideas_of
-- Locks the ideas that a join will touch, in the order in which set_votes locks them. $4 the survivor's strength.
SELECT count(*) FROM (
  SELECT FROM ideas AS i
  WHERE i.municipality_id = $1 AND i.id IN (
    SELECT a.id FROM ideas AS a WHERE a.municipality_id = $1 AND a.author_id = ANY($2::uuid[])
    UNION
    SELECT v.idea_id FROM votes AS v
    WHERE v.municipality_id = $1
      AND (v.resident_id = ANY($2::uuid[]) OR (v.resident_id = $3 AND v.strength <> $4::identity_strength))
  )
  ORDER BY i.id
  FOR NO KEY UPDATE
) AS held;

-- name: hold_groups_of
-- Locks the groups that a join will touch, in the order of their ids: who is in one changes under its lock alone.
SELECT count(*) FROM (
  SELECT FROM groups AS g
  WHERE g.municipality_id = $1 AND g.id IN (
    SELECT m.group_id FROM group_members AS m WHERE m.municipality_id = $1 AND m.resident_id = ANY($2::uuid[]))
  ORDER BY g.id
  FOR NO KEY UPDATE
) AS held;

-- name: move_ideas
UPDATE ideas SET author_id = $3 WHERE municipality_id = $1 AND author_id = $2;

-- name: move_follows
-- Of two follows of an idea the earlier one stays.
WITH gone AS (
  DELETE FROM follows WHERE municipality_id = $1 AND resident_id = $2 RETURNING municipality_id, idea_id, followed_at
)
INSERT INTO follows AS f (municipality_id, resident_id, idea_id, followed_at)
SELECT municipality_id, $3, idea_id, followed_at FROM gone
ORDER BY idea_id
ON CONFLICT (municipality_id, resident_id, idea_id) DO UPDATE SET followed_at = least(f.followed_at, excluded.followed_at);

-- name: move_members
-- Of two roles in a locked group the higher one stays, since when it was held first.
WITH gone AS (
  DELETE FROM group_members WHERE municipality_id = $1 AND resident_id = $2
  RETURNING municipality_id, group_id, role, joined_at
), kept AS (
  INSERT INTO group_members AS m (municipality_id, group_id, resident_id, role, joined_at)
  SELECT municipality_id, group_id, $3, role, joined_at FROM gone
  ON CONFLICT (municipality_id, group_id, resident_id) DO UPDATE SET
    role = greatest(m.role, excluded.role),
    joined_at = CASE
      WHEN (m.role = 'PENDING') = (excluded.role = 'PENDING') THEN least(m.joined_at, excluded.joined_at)
      WHEN m.role = 'PENDING' THEN excluded.joined_at
      ELSE m.joined_at
    END
  RETURNING m.group_id, old.role AS was_role
)
UPDATE groups AS g SET member_count = g.member_count - 1
FROM gone JOIN kept ON kept.group_id = gone.group_id
WHERE g.municipality_id = gone.municipality_id AND g.id = gone.group_id AND gone.role <> 'PENDING' AND kept.was_role <> 'PENDING';

-- name: move_notifications
-- Both were told of an event: once is enough, and read is read.
WITH gone AS (
  DELETE FROM notifications WHERE municipality_id = $1 AND resident_id = $2
  RETURNING municipality_id, id, event_id, kind, idea_id, response_id, read_at
)
INSERT INTO notifications AS n (municipality_id, resident_id, id, event_id, kind, idea_id, response_id, read_at)
SELECT municipality_id, $3, id, event_id, kind, idea_id, response_id, read_at FROM gone
ORDER BY event_id, kind
ON CONFLICT ON CONSTRAINT notifications_once DO UPDATE SET read_at = coalesce(n.read_at, excluded.read_at);

-- name: move_idempotency_keys
-- What was sent before the join may be sent again after it.
WITH gone AS (
  DELETE FROM idempotency_keys WHERE municipality_id = $1 AND caller_id = $2
  RETURNING municipality_id, operation, key, input_hash, result_id, created_at
)
INSERT INTO idempotency_keys (municipality_id, caller_id, operation, key, input_hash, result_id, created_at)
SELECT municipality_id, $3, operation, key, input_hash, result_id, created_at FROM gone
ORDER BY operation, key
ON CONFLICT DO NOTHING;

-- name: move_sessions
-- Other devices go on: their next refresh is of the account that stays.
UPDATE sessions SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2;

-- name: move_email_challenges
-- A code that was on its way for the joined account is for the one that stays.
UPDATE email_challenges SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2;

-- name: move_passkeys
UPDATE passkeys SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2;

-- name: move_passkey_challenges
UPDATE passkey_challenges SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2;

-- name: move_invitations
UPDATE invitations SET invited_by_id = $3 WHERE municipality_id = $1 AND invited_by_id = $2;

-- name: move_identities
UPDATE identities SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2;

-- name: move_roles
WITH gone AS (
  DELETE FROM resident_roles WHERE municipality_id = $1 AND resident_id = $2 RETURNING municipality_id, role, source, granted_at
), kept AS (
  INSERT INTO resident_roles (municipality_id, resident_id, role, source, granted_at)
  SELECT municipality_id, $3, role, source, granted_at FROM gone
  ON CONFLICT DO NOTHING
)
SELECT DISTINCT role::text FROM gone ORDER BY 1;

-- name: move_post
-- Who holds a post goes on holding it.
UPDATE residents AS r SET official_id = gone.official_id
FROM residents AS gone
WHERE r.municipality_id = $1 AND r.id = $3 AND r.official_id IS NULL
  AND gone.municipality_id = $1 AND gone.id = $2 AND gone.official_id IS NOT NULL;

-- name: bury_resident
-- What is left of a joined account: where it went. No row where it was left so before.
UPDATE residents SET joined_into_id = $3, display_name = '-', official_id = NULL
WHERE municipality_id = $1 AND id = $2 AND joined_into_id IS NULL
RETURNING true;
