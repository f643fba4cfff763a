-- name: add_invitation
-- A role that waits for somebody to prove an address.
INSERT INTO invitations (municipality_id, secret_hash, email, role, official_id, source, invited_by_id, expires_at)
VALUES ($1, $2, $3, $4::role, $5, $6, $7, $8)
RETURNING id;

-- name: invitation
-- What a secret is good for; no row where it was used, withdrawn, has expired or never was.
SELECT id, email, role::text, official_id, source, invited_by_id FROM invitations
WHERE municipality_id = $1 AND secret_hash = $2 AND expires_at > now();

-- name: spend_invitation
-- Uses it up; no row where it is no more.
DELETE FROM invitations WHERE municipality_id = $1 AND id = $2 AND expires_at > now() RETURNING id;

-- name: withdraw_invitation
-- Takes it back; no row where it is no more.
DELETE FROM invitations WHERE municipality_id = $1 AND id = $2 RETURNING id;

-- name: withdraw_invitations_of
-- Takes back what somebody invited to who administers nothing any more.
DELETE FROM invitations WHERE municipality_id = $1 AND invited_by_id = $2;

-- name: prune_invitations
-- Forgets those that have expired, with their addresses.
DELETE FROM invitations WHERE expires_at < now();

-- fragment: shown_invitations
SELECT i.id, i.email, i.role::text, i.official_id, i.created_at, i.expires_at, r.id, r.display_name
FROM invitations AS i
LEFT JOIN residents AS r ON r.municipality_id = i.municipality_id AND r.id = i.invited_by_id

-- name: invitation_page
-- Those that can still be accepted, newest first. $2 the invitation to go on after.
{shown_invitations}
WHERE i.municipality_id = $1 AND i.expires_at > now() AND i.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY i.id DESC
LIMIT $3;

-- name: shown_invitation
-- One, for who invites.
{shown_invitations}
WHERE i.municipality_id = $1 AND i.id = $2;
