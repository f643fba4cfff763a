-- name: ask_erasure
-- Marks an account to be erased, whose name is gone at once; when that was asked first. No row where there is none, it
-- has been erased, or it was joined into another: that one would stay.
UPDATE residents SET
  erasure_asked_at = coalesce(erasure_asked_at, date_trunc('milliseconds', clock_timestamp())),
  erased_at = coalesce(erased_at, clock_timestamp()), display_name = '-'
WHERE municipality_id = $1 AND id = $2 AND joined_into_id IS NULL AND (erased_at IS NULL OR erasure_asked_at IS NOT NULL)
RETURNING erasure_asked_at;

-- name: hold_erased
-- An account that is still to be erased, locked until the transaction ends: it is done, and comes back, under this lock
-- alone. No row for any other.
SELECT true FROM residents WHERE municipality_id = $1 AND id = $2 AND erasure_asked_at IS NOT NULL FOR NO KEY UPDATE;

-- name: locale
-- The language in which somebody is told for the last time.
SELECT locale FROM residents WHERE municipality_id = $1 AND id = $2;

-- name: groups_of
-- The groups somebody is anything in, in the order in which they are locked.
SELECT m.group_id FROM group_members AS m WHERE m.municipality_id = $1 AND m.resident_id = $2 ORDER BY m.group_id;

-- name: appoint_contact
-- Makes the longest-standing member of a locked group its contact where it has members and no contact.
UPDATE group_members SET role = 'CONTACT'
WHERE municipality_id = $1 AND group_id = $2 AND resident_id = (
  SELECT m.resident_id FROM group_members AS m
  WHERE m.municipality_id = $1 AND m.group_id = $2 AND m.role = 'MEMBER' AND NOT EXISTS (
    SELECT FROM group_members AS c WHERE c.municipality_id = $1 AND c.group_id = $2 AND c.role = 'CONTACT'
  )
  ORDER BY m.joined_at, m.resident_id
  LIMIT 1
);

-- name: is_left_alone
-- Whether a locked group has nobody left in it, and never threw an idea but by somebody ($3).
SELECT g.member_count = 0 AND NOT EXISTS (
  SELECT FROM idea_groups AS o JOIN ideas AS i ON i.municipality_id = o.municipality_id AND i.id = o.idea_id
  WHERE o.municipality_id = $1 AND o.group_id = $2 AND i.author_id IS DISTINCT FROM $3
)
FROM groups AS g WHERE g.municipality_id = $1 AND g.id = $2;

-- name: disown_ideas
-- Takes a locked group off its ideas.
WITH owned AS (
  DELETE FROM idea_groups WHERE municipality_id = $1 AND group_id = $2
)
UPDATE ideas SET author_group_id = NULL, version = version + 1 WHERE municipality_id = $1 AND author_group_id = $2;

-- name: empty_group
-- Everybody out of a locked group, those too who asked to join it.
DELETE FROM group_members WHERE municipality_id = $1 AND group_id = $2;

-- name: remove_group
-- A group that nothing leads to any more.
DELETE FROM groups WHERE municipality_id = $1 AND id = $2;

-- name: hold_ideas_of
-- The next ideas that somebody threw, locked in the order in which votes lock them: what is decided on them holds.
SELECT i.id FROM ideas AS i WHERE i.municipality_id = $1 AND i.author_id = $2 ORDER BY i.id LIMIT $3 FOR NO KEY UPDATE;

-- name: forget_ideas
-- Takes the author ($3) off locked ideas ($2). Those that others ever voted for, own with them or got
-- answered stay; of all others the text and the place go, and they are withdrawn. Gives the ids of these with
-- whether somebody else is to be told.
WITH m AS (
  SELECT id, (clock_timestamp() AT TIME ZONE time_zone)::date AS today FROM municipalities WHERE id = $1
), judged AS MATERIALIZED (
  SELECT i.id, i.status,
    EXISTS (
      SELECT FROM votes AS v
      WHERE v.municipality_id = $1 AND v.idea_id = i.id AND v.cast_at IS NOT NULL AND v.resident_id <> $3
    )
    OR EXISTS (SELECT FROM responses AS r WHERE r.municipality_id = $1 AND r.idea_id = i.id)
    OR EXISTS (SELECT FROM idea_groups AS o WHERE o.municipality_id = $1 AND o.idea_id = i.id)
      AS stays
  FROM ideas AS i WHERE i.municipality_id = $1 AND i.id = ANY($2::uuid[])
), tallied AS (
  UPDATE idea_tallies AS t SET version = t.version + 1, changed_xid = pg_current_xact_id()::text::bigint
  FROM judged AS j WHERE t.municipality_id = $1 AND t.idea_id = j.id AND NOT j.stays
), forgotten AS (
  UPDATE ideas AS i SET
    author_id = NULL,
    title = CASE WHEN j.stays THEN i.title ELSE '-' END,
    body = CASE WHEN j.stays THEN i.body ELSE '' END,
    latitude = CASE WHEN j.stays THEN i.latitude END,
    longitude = CASE WHEN j.stays THEN i.longitude END,
    hidden_reason = CASE WHEN j.stays OR i.hidden_reason IS NULL THEN i.hidden_reason ELSE '-' END,
    status = CASE WHEN NOT j.stays AND i.status IN ('OPEN', 'UNDER_REVIEW') THEN 'WITHDRAWN' ELSE i.status END,
    was_listed = CASE WHEN i.placed_on < m.today THEN i.listed ELSE i.was_listed END,
    was_theme_id = CASE WHEN i.placed_on < m.today THEN i.theme_id ELSE i.was_theme_id END,
    was_district_id = CASE WHEN i.placed_on < m.today THEN i.district_id ELSE i.was_district_id END,
    placed_on = m.today, version = i.version + 1, updated_at = date_trunc('milliseconds', clock_timestamp())
  FROM judged AS j, m WHERE i.municipality_id = $1 AND i.id = j.id
)
SELECT j.id, j.status IN ('OPEN', 'UNDER_REVIEW') AND EXISTS (
  SELECT FROM follows AS f WHERE f.municipality_id = $1 AND f.idea_id = j.id AND f.resident_id <> $3
)
FROM judged AS j WHERE NOT j.stays;

-- name: forget_follows
-- Some of somebody's follows.
DELETE FROM follows WHERE municipality_id = $1 AND resident_id = $2 AND idea_id IN (
  SELECT idea_id FROM follows WHERE municipality_id = $1 AND resident_id = $2 LIMIT $3
);

-- name: forget_notifications
-- Some of what somebody was told.
DELETE FROM notifications WHERE municipality_id = $1 AND resident_id = $2 AND id IN (
  SELECT id FROM notifications WHERE municipality_id = $1 AND resident_id = $2 LIMIT $3
);

-- name: forget_idempotency_keys
-- The keys somebody used, with those that made the account and the ones that were joined into it.
DELETE FROM idempotency_keys
WHERE municipality_id = $1 AND (caller_id = $2 OR (
  caller_id = '00000000-0000-0000-0000-000000000000' AND operation = 'registerDevice' AND result_id IN {all_accounts}));

-- name: forget_sessions
-- Sessions with their refresh tokens; their access tokens are called back before.
DELETE FROM sessions WHERE municipality_id = $1 AND resident_id = $2;

-- name: forget_data_exports
-- Copies that were asked for, with their documents.
DELETE FROM data_exports WHERE municipality_id = $1 AND resident_id = $2;

-- name: forget_passkeys
-- What somebody could sign in with.
DELETE FROM passkeys WHERE municipality_id = $1 AND resident_id = $2;

-- name: forget_passkey_challenges
-- Passkeys about to be registered.
DELETE FROM passkey_challenges WHERE municipality_id = $1 AND resident_id = $2;

-- name: forget_login_attempts
-- Logins with a provider under way.
DELETE FROM login_attempts WHERE municipality_id = $1 AND resident_id = $2;

-- name: forget_email_challenges
-- Codes under way, asked for by somebody or mailed to an address of theirs.
DELETE FROM email_challenges WHERE municipality_id = $1 AND (resident_id = $2 OR email_hash IN (
  SELECT i.subject_hash FROM identities AS i WHERE i.municipality_id = $1 AND i.resident_id = $2 AND i.kind = 'EMAIL'));

-- name: forget_invitations
-- Roles that wait for somebody's addresses. Needs these to be there still.
DELETE FROM invitations AS v USING identities AS i
WHERE v.municipality_id = $1 AND i.municipality_id = $1 AND i.resident_id = $2 AND lower(i.email) = lower(v.email);

-- name: forget_inviter
-- What an administrator offered others goes with their role, as when it is taken from them.
DELETE FROM invitations WHERE municipality_id = $1 AND invited_by_id = $2;

-- name: forget_emails
-- Addresses; the keyed hashes stay, so that who comes back gets this account, and no second vote.
UPDATE identities SET email = NULL WHERE municipality_id = $1 AND resident_id = $2 AND email IS NOT NULL;

-- name: forget_roles
-- Every role from every source; which there were.
WITH gone AS (
  DELETE FROM resident_roles WHERE municipality_id = $1 AND resident_id = $2 RETURNING role::text
)
SELECT DISTINCT role FROM gone ORDER BY role;

-- name: forget_resident
-- What is left of an account, and of those that were joined into it: an id and a strength.
UPDATE residents SET
  display_name = '-', locale = 'und', official_id = NULL, erasure_asked_at = NULL, erased_at = coalesce(erased_at, clock_timestamp())
WHERE municipality_id = $1 AND id IN {all_accounts};

-- name: idle_devices
-- Accounts of devices that nobody can use any more, since no session of theirs can go on, and that did nothing for $2 days:
-- at most $3. Not voters of an import, who never had a session.
SELECT r.id FROM residents AS r
WHERE r.municipality_id = $1 AND r.strength = 'DEVICE' AND r.erased_at IS NULL AND r.joined_into_id IS NULL
  AND r.official_id IS NULL
  AND r.id < uuidv7(make_interval(days => -$2::integer))
  AND NOT EXISTS (
    SELECT FROM sessions AS s WHERE s.municipality_id = r.municipality_id AND s.resident_id = r.id
      AND (s.refreshed_at > now() - make_interval(days => $2::integer) OR (s.ended_at IS NULL AND s.expires_at > now()))
  )
  AND NOT EXISTS (
    SELECT FROM votes AS v WHERE v.municipality_id = r.municipality_id AND v.resident_id = r.id
      AND v.decided_at > now() - make_interval(days => $2::integer)
  )
  AND NOT EXISTS (
    SELECT FROM follows AS f WHERE f.municipality_id = r.municipality_id AND f.resident_id = r.id
      AND f.followed_at > now() - make_interval(days => $2::integer)
  )
  AND NOT EXISTS (
    SELECT FROM ideas AS i WHERE i.municipality_id = r.municipality_id AND i.author_id = r.id
      AND i.id > uuidv7(make_interval(days => -$2::integer))
  )
  AND NOT EXISTS (SELECT FROM identities AS i WHERE i.municipality_id = r.municipality_id AND i.resident_id = r.id)
  AND NOT EXISTS (SELECT FROM resident_roles AS o WHERE o.municipality_id = r.municipality_id AND o.resident_id = r.id)
  AND NOT EXISTS (SELECT FROM imported_voters AS v WHERE v.municipality_id = r.municipality_id AND v.resident_id = r.id)
ORDER BY r.id
LIMIT $3;
