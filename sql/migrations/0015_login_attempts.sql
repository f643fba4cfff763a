-- Logins with a provider that have begun and not yet ended.

CREATE TABLE login_attempts (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  state_hash bytea NOT NULL CONSTRAINT login_attempts_state_hash_whole CHECK (octet_length(state_hash) = 32),
  provider_id text NOT NULL,
  redirect_uri text NOT NULL,
  code_challenge text,
  locale text NOT NULL,
  resident_id uuid,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (municipality_id, state_hash),
  CONSTRAINT login_attempts_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id)
);
CREATE INDEX login_attempts_resident_idx ON login_attempts (municipality_id, resident_id);
CREATE INDEX login_attempts_expires_idx ON login_attempts (expires_at);
COMMENT ON TABLE login_attempts IS 'Each is taken out by the first who comes with its state; what nobody comes for goes when it has expired.';
COMMENT ON COLUMN login_attempts.state_hash IS
  'SHA-256 of 256 random bits that the app keeps. Nonce and PKCE verifier are made from these, and stand nowhere.';
COMMENT ON COLUMN login_attempts.provider_id IS 'Of HEITTO_LOGIN_PROVIDERS_FILE.';
COMMENT ON COLUMN login_attempts.code_challenge IS 'The app''s own (PKCE, S256); null where the server has the verifier.';
COMMENT ON COLUMN login_attempts.resident_id IS 'The account that began it, which alone can end it; null for nobody.';
