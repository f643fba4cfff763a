-- What people may ask for of what is held on them: a copy, and to be forgotten.

ALTER TABLE residents ADD COLUMN erasure_asked_at timestamptz;
COMMENT ON COLUMN residents.erasure_asked_at IS 'Set until everything of the account is gone: the job that erases does nothing without it.';
COMMENT ON COLUMN residents.display_name IS '- where the account was joined into another or its person was forgotten.';

CREATE TABLE data_exports (
  municipality_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  resident_id uuid NOT NULL,
  secret_hash bytea NOT NULL CONSTRAINT data_exports_secret_hash_whole CHECK (octet_length(secret_hash) = 32),
  requested_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
  ready_at timestamptz,
  expires_at timestamptz,
  taken_at timestamptz,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT data_exports_secret_key UNIQUE (municipality_id, secret_hash),
  CONSTRAINT data_exports_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id),
  CONSTRAINT data_exports_ready_expires CHECK ((ready_at IS NULL) = (expires_at IS NULL))
);
CREATE INDEX data_exports_resident_idx ON data_exports (municipality_id, resident_id, id);
COMMENT ON TABLE data_exports IS 'Copies that people asked for of what is held on them.';
COMMENT ON COLUMN data_exports.secret_hash IS 'SHA-256 of what stands in the path of the download, which is made anew from the id and the secret key.';
COMMENT ON COLUMN data_exports.expires_at IS 'Its document is gone then, or earlier: once it was taken.';

CREATE TABLE data_export_parts (
  municipality_id uuid NOT NULL,
  export_id uuid NOT NULL,
  number integer NOT NULL,
  content bytea NOT NULL,
  PRIMARY KEY (municipality_id, export_id, number),
  CONSTRAINT data_export_parts_export_fkey FOREIGN KEY (municipality_id, export_id)
    REFERENCES data_exports (municipality_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE data_export_parts IS 'The documents, in pieces so that nobody holds a whole one in memory; each is gone when it was taken or expired.';
