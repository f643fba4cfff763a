-- Codes and links that were mailed and not yet used. A row lives for a quarter of an hour at most, then it is pruned.

CREATE TABLE email_challenges (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  email_hash bytea NOT NULL CONSTRAINT email_challenges_email_hash_whole CHECK (octet_length(email_hash) = 32),
  sealed_email text NOT NULL,
  code_hash bytea NOT NULL CONSTRAINT email_challenges_code_hash_whole CHECK (octet_length(code_hash) = 32),
  link_hash bytea NOT NULL CONSTRAINT email_challenges_link_hash_whole CHECK (octet_length(link_hash) = 32),
  resident_id uuid,
  locale text NOT NULL,
  tries integer NOT NULL DEFAULT 0 CONSTRAINT email_challenges_at_most_5_tries CHECK (tries BETWEEN 0 AND 5),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT email_challenges_newest_alone UNIQUE (municipality_id, email_hash),
  CONSTRAINT email_challenges_link_key UNIQUE (municipality_id, link_hash),
  CONSTRAINT email_challenges_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id)
);
CREATE INDEX email_challenges_expires_idx ON email_challenges (expires_at);
COMMENT ON TABLE email_challenges IS
  'Sign-in codes under way, the newest of each address alone; gone once used, and soon after they end.';
COMMENT ON COLUMN email_challenges.id IS 'Random: it tells nobody how many there are.';
COMMENT ON COLUMN email_challenges.email_hash IS 'As identities.subject_hash.';
COMMENT ON COLUMN email_challenges.sealed_email IS 'The address encrypted with the secret key, for identities.email.';
COMMENT ON COLUMN email_challenges.code_hash IS 'HMAC-SHA256 with the secret key over id and code: six digits alone could be guessed.';
COMMENT ON COLUMN email_challenges.link_hash IS 'SHA-256 of the 256 random bits in the link.';
COMMENT ON COLUMN email_challenges.resident_id IS 'Whose token asked; null for none. Only a request just as signed in may use it.';
