-- Who somebody is: proofs of identity, sessions that can be called back, roles with their source, and a log of acts that
-- can't be rewritten unnoticed.

CREATE TABLE identities (
  municipality_id uuid NOT NULL,
  kind text NOT NULL CONSTRAINT identities_kind CHECK (kind IN ('EMAIL', 'OIDC', 'PERSON')),
  subject_hash bytea NOT NULL CONSTRAINT identities_subject_hash_whole CHECK (octet_length(subject_hash) = 32),
  resident_id uuid NOT NULL,
  email text,
  proven_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (municipality_id, kind, subject_hash),
  CONSTRAINT identities_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id),
  CONSTRAINT identities_email_of_email CHECK (email IS NULL OR kind = 'EMAIL')
);
CREATE INDEX identities_resident_idx ON identities (municipality_id, resident_id);
COMMENT ON TABLE identities IS
  'What an account was proven by. An identity belongs to one account for good, also after erasure: nobody gets a second vote.';
COMMENT ON COLUMN identities.kind IS 'EMAIL: an address; OIDC: issuer and subject; PERSON: a personal identity code, whoever vouched for it.';
COMMENT ON COLUMN identities.subject_hash IS
  'HMAC-SHA256 with HEITTO_IDENTITY_KEY over kind, municipality and subject: the same person is not recognised elsewhere.';
COMMENT ON COLUMN identities.email IS 'For mail to its owner; null after erasure.';

CREATE TYPE session_method AS ENUM ('DEVICE', 'EMAIL', 'OIDC', 'PASSKEY', 'INVITATION', 'COMMAND');
ALTER TABLE sessions ADD COLUMN method session_method NOT NULL DEFAULT 'DEVICE';
ALTER TABLE sessions ADD COLUMN device_name text;
COMMENT ON COLUMN sessions.method IS 'How it was begun. COMMAND: by `heitto token`, with an access token only.';
COMMENT ON COLUMN sessions.device_name IS 'What its owner knows the device by.';

ALTER TABLE residents ADD COLUMN erased_at timestamptz;
ALTER TABLE residents ADD COLUMN joined_into_id uuid;
ALTER TABLE residents ADD CONSTRAINT residents_joined_into_fkey
FOREIGN KEY (municipality_id, joined_into_id) REFERENCES residents (municipality_id, id) NOT VALID;
COMMENT ON COLUMN residents.erased_at IS 'When the person was forgotten: a pseudonym is left, for votes that stay counted.';
COMMENT ON COLUMN residents.joined_into_id IS 'The account that took over everything of this one, both being the same person''s.';

ALTER TABLE resident_roles ADD COLUMN source text NOT NULL DEFAULT 'COMMAND';
-- The table holds staff only: a scan of it is nothing.
-- squawk-ignore ban-drop-constraint
ALTER TABLE resident_roles DROP CONSTRAINT resident_roles_pkey;
-- squawk-ignore constraint-missing-not-valid, adding-serial-primary-key-field
ALTER TABLE resident_roles ADD PRIMARY KEY (municipality_id, resident_id, role, source);
COMMENT ON COLUMN resident_roles.source IS
  'Who says so: ADMINISTRATOR, COMMAND, or the id of a login provider, which takes away at the next login what it no longer says.';

CREATE TABLE revocations (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
  kind text NOT NULL CONSTRAINT revocations_kind CHECK (kind IN ('SESSION', 'ACCOUNT', 'ROLES')),
  subject_id uuid NOT NULL,
  until timestamptz NOT NULL,
  PRIMARY KEY (municipality_id, id)
);
CREATE INDEX revocations_xid_idx ON revocations (xid);
CREATE INDEX revocations_until_idx ON revocations (until);
COMMENT ON TABLE revocations IS 'Access tokens that were called back before they end, for every process to read; kept until they would have ended.';
COMMENT ON COLUMN revocations.kind IS
  'SESSION: tokens of that session; ACCOUNT: tokens of that resident; ROLES: none, but what the resident has open is closed, to come back with the roles of now.';
COMMENT ON COLUMN revocations.xid IS 'The transaction that called back: a feed in commit order.';

CREATE TABLE audit_heads (
  municipality_id uuid PRIMARY KEY REFERENCES municipalities (id),
  sequence bigint NOT NULL,
  hash bytea NOT NULL
);
COMMENT ON TABLE audit_heads IS 'The end of each audit chain; its row lock puts entries in order.';

CREATE TABLE audit_entries (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  sequence bigint NOT NULL CONSTRAINT audit_entries_sequence CHECK (sequence > 0),
  at timestamptz NOT NULL,
  actor_id uuid,
  act text NOT NULL CONSTRAINT audit_entries_act CHECK (act ~ '^[A-Z][A-Z_]*$'),
  subject_id uuid,
  details text NOT NULL CONSTRAINT audit_entries_one_line CHECK (details !~ '\n'),
  previous_hash bytea NOT NULL,
  hash bytea NOT NULL,
  PRIMARY KEY (municipality_id, sequence)
);
CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE ON audit_entries FOR EACH ROW EXECUTE FUNCTION refuse_change();
COMMENT ON TABLE audit_entries IS 'Every act by staff and every change of rights: ids and codes only, no personal data. Each entry carries the hash of the one before.';
COMMENT ON COLUMN audit_entries.actor_id IS 'The account that acted; null for the command line and for jobs.';
COMMENT ON COLUMN audit_entries.details IS 'JSON, its keys in order.';
COMMENT ON COLUMN audit_entries.hash IS
  'SHA-256 over the lines municipality, sequence, at (microseconds since 1970), actor, act, subject, details, previous hash (hexadecimal); of no value: an empty line.';

CREATE FUNCTION append_audit_entry(municipality uuid, actor uuid, act text, subject uuid, details text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  head audit_heads;
  moment timestamptz;
  digest bytea;
BEGIN
  INSERT INTO audit_heads VALUES (municipality, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
  SELECT * INTO head FROM audit_heads AS h WHERE h.municipality_id = municipality FOR UPDATE;
  moment := clock_timestamp();
  digest := sha256(convert_to(concat_ws(E'\n',
    municipality, head.sequence + 1, (extract(epoch FROM moment) * 1000000)::bigint,
    coalesce(actor::text, ''), act, coalesce(subject::text, ''), details, encode(head.hash, 'hex')), 'UTF8'));
  INSERT INTO audit_entries VALUES (municipality, head.sequence + 1, moment, actor, act, subject, details, head.hash, digest);
  UPDATE audit_heads AS h SET sequence = head.sequence + 1, hash = digest WHERE h.municipality_id = municipality;
END $$;
