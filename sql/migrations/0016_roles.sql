-- Roles with the moment they were given, invitations to them, and passkeys of those who have them.

ALTER TABLE resident_roles ADD COLUMN granted_at timestamptz;
ALTER TABLE resident_roles ALTER COLUMN granted_at SET DEFAULT now();
COMMENT ON COLUMN resident_roles.granted_at IS 'Null for roles older than this column.';

CREATE TABLE invitations (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  secret_hash bytea NOT NULL CONSTRAINT invitations_secret_hash_whole CHECK (octet_length(secret_hash) = 32),
  email text NOT NULL,
  role role NOT NULL CONSTRAINT invitations_role CHECK (role <> 'RESIDENT'),
  official_id uuid,
  source text NOT NULL CONSTRAINT invitations_source CHECK (source IN ('ADMINISTRATOR', 'COMMAND')),
  invited_by_id uuid,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT invitations_secret_hash_key UNIQUE (municipality_id, secret_hash),
  CONSTRAINT invitations_official_fkey FOREIGN KEY (municipality_id, official_id) REFERENCES officials (municipality_id, id),
  CONSTRAINT invitations_invited_by_fkey FOREIGN KEY (municipality_id, invited_by_id) REFERENCES residents (municipality_id, id)
);
CREATE INDEX invitations_expires_idx ON invitations (expires_at);
COMMENT ON TABLE invitations IS
  'Roles that wait for somebody to prove an address. A row is gone once it is accepted, withdrawn or expired; the audit log tells of it.';
COMMENT ON COLUMN invitations.secret_hash IS 'SHA-256 of the 32 random bytes in the link that was mailed; the secret itself is kept nowhere.';
COMMENT ON COLUMN invitations.source IS 'What the granted role''s source will be.';
COMMENT ON COLUMN invitations.invited_by_id IS 'The administrator; null for the command line.';

CREATE TABLE passkeys (
  municipality_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  resident_id uuid NOT NULL,
  credential_hash bytea NOT NULL CONSTRAINT passkeys_credential_hash_whole CHECK (octet_length(credential_hash) = 32),
  public_key bytea NOT NULL,
  sign_count bigint NOT NULL CONSTRAINT passkeys_sign_count CHECK (sign_count >= 0),
  name text NOT NULL CONSTRAINT passkeys_name CHECK (char_length(name) BETWEEN 1 AND 60),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT passkeys_credential_hash_key UNIQUE (municipality_id, credential_hash),
  CONSTRAINT passkeys_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id)
);
CREATE INDEX passkeys_resident_idx ON passkeys (municipality_id, resident_id);
COMMENT ON TABLE passkeys IS 'WebAuthn credentials of staff.';
COMMENT ON COLUMN passkeys.credential_hash IS 'SHA-256 of the credential''s id: enough to find it again.';
COMMENT ON COLUMN passkeys.public_key IS 'COSE_Key (RFC 9052).';
COMMENT ON COLUMN passkeys.sign_count IS 'As last told by the authenticator; 0 where it counts nothing.';
COMMENT ON COLUMN passkeys.name IS 'What its owner knows it by.';

CREATE TABLE passkey_challenges (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  resident_id uuid,
  challenge bytea NOT NULL CONSTRAINT passkey_challenges_challenge_whole CHECK (octet_length(challenge) = 32),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT passkey_challenges_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id)
);
CREATE INDEX passkey_challenges_expires_idx ON passkey_challenges (expires_at);
COMMENT ON TABLE passkey_challenges IS 'What a passkey has yet to sign; a row is gone with its first use.';
COMMENT ON COLUMN passkey_challenges.resident_id IS 'Who registers a passkey; null where somebody signs in.';
