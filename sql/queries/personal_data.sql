-- A copy of all that is held on a person: a section a statement, in this order, each row an object of JSON as text. $1 the
-- municipality, $2 the account. A test reads the catalogue and fails for a table that is in none and should be.

-- name: profile
-- The account itself, and those that were joined into it.
SELECT jsonb_build_object('id', r.id, 'accounts', ARRAY{all_accounts}, 'displayName', r.display_name, 'locale', r.locale, 'strength', r.strength,
  'madeAt', uuid_extract_timestamp(r.id), 'officialId', r.official_id, 'joinedIntoId', r.joined_into_id,
  'erasureAskedAt', r.erasure_asked_at)::text
FROM residents AS r WHERE r.municipality_id = $1 AND r.id = $2;

-- name: identities
-- By what the person was proven. Of what identifies them a keyed hash is held, which says nothing to whoever lacks the key.
SELECT jsonb_build_object('kind', i.kind, 'email', i.email, 'provenAt', i.proven_at, 'keyedHash', encode(i.subject_hash, 'hex'))::text
FROM identities AS i WHERE i.municipality_id = $1 AND i.resident_id = $2 ORDER BY i.proven_at;

-- name: sessions
-- Devices that are or were signed in, with how often their tokens were renewed as far as it is known.
SELECT jsonb_build_object('id', s.id, 'method', s.method, 'deviceName', s.device_name, 'begunAt', uuid_extract_timestamp(s.id),
  'refreshedAt', s.refreshed_at, 'expiresAt', s.expires_at, 'endedAt', s.ended_at,
  'refreshTokens', (SELECT count(*) FROM refresh_tokens AS t WHERE t.municipality_id = s.municipality_id AND t.session_id = s.id))::text
FROM sessions AS s WHERE s.municipality_id = $1 AND s.resident_id = $2 ORDER BY s.id;

-- name: roles
-- What the account may do beside what everybody may, and who said so.
SELECT jsonb_build_object('role', o.role, 'source', o.source, 'grantedAt', o.granted_at)::text
FROM resident_roles AS o WHERE o.municipality_id = $1 AND o.resident_id = $2 ORDER BY o.role, o.source;

-- name: passkeys
-- Passkeys the person signs in with.
SELECT jsonb_build_object('id', p.id, 'name', p.name, 'createdAt', p.created_at, 'lastUsedAt', p.last_used_at, 'signCount', p.sign_count,
  'publicKey', encode(p.public_key, 'hex'))::text
FROM passkeys AS p WHERE p.municipality_id = $1 AND p.resident_id = $2 ORDER BY p.id;

-- name: passkey_challenges
-- Passkeys about to be registered.
SELECT jsonb_build_object('expiresAt', c.expires_at)::text
FROM passkey_challenges AS c WHERE c.municipality_id = $1 AND c.resident_id = $2 ORDER BY c.expires_at;

-- name: login_attempts
-- Logins with a provider under way.
SELECT jsonb_build_object('provider', a.provider_id, 'expiresAt', a.expires_at)::text
FROM login_attempts AS a WHERE a.municipality_id = $1 AND a.resident_id = $2 ORDER BY a.expires_at;

-- name: email_challenges
-- Codes under way, asked for by the person or mailed to an address of theirs; the code itself is kept as a hash.
SELECT jsonb_build_object('locale', c.locale, 'tries', c.tries, 'expiresAt', c.expires_at)::text
FROM email_challenges AS c WHERE c.municipality_id = $1 AND (c.resident_id = $2 OR c.email_hash IN (
  SELECT i.subject_hash FROM identities AS i WHERE i.municipality_id = $1 AND i.resident_id = $2 AND i.kind = 'EMAIL'))
ORDER BY c.expires_at;

-- name: invitations
-- Roles that wait for the person, and that the person offered to others, whose addresses are theirs.
SELECT jsonb_build_object('role', v.role, 'toThisAccount', mine.email IS NOT NULL, 'email', mine.email, 'createdAt', v.created_at,
  'expiresAt', v.expires_at)::text
FROM invitations AS v
LEFT JOIN LATERAL (
  SELECT i.email FROM identities AS i
  WHERE i.municipality_id = $1 AND i.resident_id = $2 AND lower(i.email) = lower(v.email)
  LIMIT 1
) AS mine ON true
WHERE v.municipality_id = $1 AND (v.invited_by_id = $2 OR mine.email IS NOT NULL) ORDER BY v.id;

-- name: official
-- The post that the account holds.
SELECT jsonb_build_object('id', f.id, 'name', f.name, 'email', f.email, 'phone', f.phone, 'endedAt', f.ended_at, 'titles', p.titles)::text
FROM residents AS r
JOIN officials AS f ON f.municipality_id = r.municipality_id AND f.id = r.official_id
JOIN posts AS p ON p.municipality_id = f.municipality_id AND p.id = f.post_id
WHERE r.municipality_id = $1 AND r.id = $2;

-- name: ideas
-- What the person threw, also in a group's name.
SELECT jsonb_build_object('id', i.id, 'number', i.number, 'title', i.title, 'body', i.body, 'locale', i.locale,
  'status', i.status, 'createdAt', i.created_at, 'editedAt', i.edited_at, 'groupId', i.author_group_id,
  'districtId', i.district_id, 'themeId', i.theme_id, 'latitude', i.latitude, 'longitude', i.longitude,
  'hiddenAt', i.hidden_at, 'hiddenReason', i.hidden_reason)::text
FROM ideas AS i WHERE i.municipality_id = $1 AND i.author_id = $2 ORDER BY i.id;

-- name: votes
-- Votes that stand, and that were taken back.
SELECT jsonb_build_object('ideaId', v.idea_id, 'number', i.number, 'title', i.title, 'voted', v.voted, 'castAt', v.cast_at,
  'decidedAt', v.decided_at, 'strength', v.strength, 'channel', v.channel)::text
FROM votes AS v JOIN ideas AS i ON i.municipality_id = v.municipality_id AND i.id = v.idea_id
WHERE v.municipality_id = $1 AND v.resident_id = $2 ORDER BY v.idea_id;

-- name: follows
-- What the person follows.
SELECT jsonb_build_object('ideaId', f.idea_id, 'followedAt', f.followed_at)::text
FROM follows AS f WHERE f.municipality_id = $1 AND f.resident_id = $2 ORDER BY f.idea_id;

-- name: groups
-- Groups the person is in or asked to join.
SELECT jsonb_build_object('groupId', m.group_id, 'name', g.display_name, 'description', g.description, 'role', m.role, 'joinedAt', m.joined_at)::text
FROM group_members AS m JOIN groups AS g ON g.municipality_id = m.municipality_id AND g.id = m.group_id
WHERE m.municipality_id = $1 AND m.resident_id = $2 ORDER BY m.group_id;

-- name: notifications
-- What the person was told.
SELECT jsonb_build_object('kind', n.kind, 'ideaId', n.idea_id, 'responseId', n.response_id, 'createdAt', n.created_at, 'readAt', n.read_at)::text
FROM notifications AS n WHERE n.municipality_id = $1 AND n.resident_id = $2 ORDER BY n.id;

-- name: responses
-- What the person answered as an official.
SELECT jsonb_build_object('id', s.id, 'ideaId', s.idea_id, 'kind', s.kind, 'body', s.body, 'reasons', s.reasons,
  'nextStep', s.next_step, 'nextStepDueAt', s.next_step_due_at, 'createdAt', s.created_at)::text
FROM residents AS r JOIN responses AS s ON s.municipality_id = r.municipality_id AND s.official_id = r.official_id
WHERE r.municipality_id = $1 AND r.id = $2 ORDER BY s.id;

-- name: moderations
-- What the person hid or showed as a moderator.
SELECT jsonb_build_object('ideaId', m.idea_id, 'hidden', m.hidden, 'reason', m.reason, 'at', uuid_extract_timestamp(m.id))::text
FROM moderations AS m WHERE m.municipality_id = $1 AND m.moderator_id IN {all_accounts} ORDER BY m.id;

-- name: audit_entries
-- What the audit log says of the person: what they did, and what was done to their account.
SELECT jsonb_build_object('sequence', e.sequence, 'at', e.at, 'act', e.act, 'byThisAccount', e.actor_id = ANY (a.ids),
  'toThisAccount', e.subject_id = ANY (a.ids), 'details', e.details)::text
FROM (SELECT ARRAY{all_accounts} AS ids) AS a JOIN audit_entries AS e
  ON e.municipality_id = $1 AND (e.actor_id = ANY (a.ids) OR e.subject_id = ANY (a.ids))
ORDER BY e.sequence;

-- name: idempotency_keys
-- What was sent lately, so that it isn't done twice; forgotten after seven days.
SELECT jsonb_build_object('operation', k.operation, 'at', k.created_at, 'resultId', k.result_id)::text
FROM idempotency_keys AS k WHERE k.municipality_id = $1 AND k.caller_id = $2 ORDER BY k.created_at;

-- name: revocations
-- Access tokens of the account that were called back lately.
SELECT jsonb_build_object('kind', v.kind, 'until', v.until)::text
FROM revocations AS v WHERE v.municipality_id = $1 AND (v.subject_id = $2 OR v.subject_id IN (
  SELECT s.id FROM sessions AS s WHERE s.municipality_id = $1 AND s.resident_id = $2))
ORDER BY v.id;

-- name: data_exports
-- Copies like this one that were asked for.
SELECT jsonb_build_object('id', e.id, 'requestedAt', e.requested_at, 'readyAt', e.ready_at, 'expiresAt', e.expires_at, 'takenAt', e.taken_at)::text
FROM data_exports AS e WHERE e.municipality_id = $1 AND e.resident_id = $2 ORDER BY e.id;

-- name: imported_voters
-- What a file of ballots that was loaded says of a voter, who has no name in it.
SELECT jsonb_build_object('voterId', v.voter_id, 'age', v.age, 'ageGroup', v.age_group, 'sex', v.sex, 'area', v.area)::text
FROM imported_voters AS v WHERE v.municipality_id = $1 AND v.resident_id = $2;
