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
UPDATE ideas SET author_id = $3 WHERE municipality_id = $1 AND author_id = ANY($2::uuid[]);

-- name: take_over
-- Everything but votes and ideas, in one statement. Gives the roles that moved.
WITH gone_follows AS (
  -- Of two follows of an idea the earlier one stays.
  DELETE FROM follows WHERE municipality_id = $1 AND resident_id = $2 RETURNING municipality_id, idea_id, followed_at
), moved_follows AS (
  INSERT INTO follows AS f (municipality_id, resident_id, idea_id, followed_at)
  SELECT municipality_id, $3, idea_id, followed_at FROM gone_follows
  ORDER BY idea_id
  ON CONFLICT (municipality_id, resident_id, idea_id) DO UPDATE SET followed_at = least(f.followed_at, excluded.followed_at)
), gone_members AS (
  -- Of two roles in a locked group the higher one stays, since when it was held first.
  DELETE FROM group_members WHERE municipality_id = $1 AND resident_id = $2
  RETURNING municipality_id, group_id, role, joined_at
), kept_members AS (
  INSERT INTO group_members AS m (municipality_id, group_id, resident_id, role, joined_at)
  SELECT municipality_id, group_id, $3, role, joined_at FROM gone_members
  ON CONFLICT (municipality_id, group_id, resident_id) DO UPDATE SET
    role = greatest(m.role, excluded.role),
    joined_at = CASE
      WHEN (m.role = 'PENDING') = (excluded.role = 'PENDING') THEN least(m.joined_at, excluded.joined_at)
      WHEN m.role = 'PENDING' THEN excluded.joined_at
      ELSE m.joined_at
    END
  RETURNING m.group_id, old.role AS was_role
), moved_members AS (
  UPDATE groups AS g SET member_count = g.member_count - 1
  FROM gone_members JOIN kept_members ON kept_members.group_id = gone_members.group_id
  WHERE g.municipality_id = gone_members.municipality_id AND g.id = gone_members.group_id
    AND gone_members.role <> 'PENDING' AND kept_members.was_role <> 'PENDING'
), gone_notifications AS (
  -- Both were told of an event: once is enough, and read is read.
  DELETE FROM notifications WHERE municipality_id = $1 AND resident_id = $2
  RETURNING municipality_id, id, event_id, kind, idea_id, response_id, read_at
), moved_notifications AS (
  INSERT INTO notifications AS n (municipality_id, resident_id, id, event_id, kind, idea_id, response_id, read_at)
  SELECT municipality_id, $3, id, event_id, kind, idea_id, response_id, read_at FROM gone_notifications
  ORDER BY event_id, kind
  ON CONFLICT ON CONSTRAINT notifications_once DO UPDATE SET read_at = coalesce(n.read_at, excluded.read_at)
), gone_keys AS (
  -- What was sent before the join may be sent again after it.
  DELETE FROM idempotency_keys WHERE municipality_id = $1 AND caller_id = $2
  RETURNING municipality_id, operation, key, input_hash, result_id, created_at
), moved_keys AS (
  INSERT INTO idempotency_keys (municipality_id, caller_id, operation, key, input_hash, result_id, created_at)
  SELECT municipality_id, $3, operation, key, input_hash, result_id, created_at FROM gone_keys
  ORDER BY operation, key
  ON CONFLICT DO NOTHING
), moved_sessions AS (
  -- Other devices go on: their next refresh is of the account that stays.
  UPDATE sessions SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2
), moved_identities AS (
  UPDATE identities SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2
), moved_email_challenges AS (
  -- A code that was on its way for the joined account is for the one that stays.
  UPDATE email_challenges SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2
), moved_passkeys AS (
  UPDATE passkeys SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2
), moved_passkey_challenges AS (
  UPDATE passkey_challenges SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2
), moved_login_attempts AS (
  UPDATE login_attempts SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2
), moved_data_exports AS (
  UPDATE data_exports SET resident_id = $3 WHERE municipality_id = $1 AND resident_id = $2
), moved_invitations AS (
  UPDATE invitations SET invited_by_id = $3 WHERE municipality_id = $1 AND invited_by_id = $2
), gone_roles AS (
  DELETE FROM resident_roles WHERE municipality_id = $1 AND resident_id = $2
  RETURNING municipality_id, role, source, granted_at
), moved_roles AS (
  INSERT INTO resident_roles (municipality_id, resident_id, role, source, granted_at)
  SELECT municipality_id, $3, role, source, granted_at FROM gone_roles
  ON CONFLICT DO NOTHING
)
SELECT DISTINCT role::text FROM gone_roles ORDER BY 1;

-- name: bury_resident
-- What is left of a joined account: where it went. Who held a post goes on holding it. No row where it was left so before.
WITH post AS (
  UPDATE residents AS r SET official_id = gone.official_id
  FROM residents AS gone
  WHERE r.municipality_id = $1 AND r.id = $3 AND r.official_id IS NULL
    AND gone.municipality_id = $1 AND gone.id = $2 AND gone.official_id IS NOT NULL
)
UPDATE residents SET joined_into_id = $3, display_name = '-', official_id = NULL
WHERE municipality_id = $1 AND id = $2 AND joined_into_id IS NULL
RETURNING true;
