-- The spine: municipalities and their offices, residents, groups, ideas, votes, responses, follows.
-- Every table of a municipality has municipality_id first in its primary key, and foreign keys are composite with it.
-- Rows whose age matters have UUIDv7 ids: created_at is read out of the id, so ordering by id is ordering by age.

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

COMMENT ON TABLE schema_migrations IS 'Which files of sql/migrations were applied. Made by backend/db/migrate.py.';

CREATE TYPE identity_strength AS ENUM ('DEVICE', 'EMAIL', 'STRONG');
CREATE TYPE role AS ENUM ('RESIDENT', 'OFFICIAL', 'COORDINATOR', 'MODERATOR', 'ADMINISTRATOR');
CREATE TYPE idea_status AS ENUM ('OPEN', 'UNDER_REVIEW', 'PLANNED', 'TRIAL', 'DONE', 'DECLINED', 'MERGED', 'WITHDRAWN');
CREATE TYPE vote_channel AS ENUM ('PHONE', 'KIOSK', 'PAPER', 'IMPORT');
CREATE TYPE group_kind AS ENUM ('INFORMAL', 'REGISTERED');
CREATE TYPE group_role AS ENUM ('PENDING', 'MEMBER', 'CONTACT');
CREATE TYPE notification_kind AS ENUM ('RESPONSE', 'STATUS_CHANGED');

CREATE TABLE municipalities (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  slug text NOT NULL CONSTRAINT municipalities_slug_key UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  names jsonb NOT NULL,
  population integer NOT NULL CHECK (population >= 0),
  time_zone text NOT NULL,
  locales text[] NOT NULL CHECK (cardinality(locales) > 0),
  vote_strength identity_strength NOT NULL DEFAULT 'DEVICE',
  reaction_days integer NOT NULL DEFAULT 7 CHECK (reaction_days > 0),
  answer_days integer NOT NULL DEFAULT 30 CHECK (answer_days >= reaction_days),
  rate_limits_lifted boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE municipalities IS 'A tenant. names and other translated texts are objects from locale to text.';
COMMENT ON COLUMN municipalities.locales IS 'The first is the one used where a text lacks the language asked for.';
COMMENT ON COLUMN municipalities.rate_limits_lifted IS 'Set by the command line alone, for replays of whole elections.';

CREATE TABLE districts (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  names jsonb NOT NULL,
  position integer NOT NULL CONSTRAINT districts_at_most_200 CHECK (position BETWEEN 1 AND 200),
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT districts_position_key UNIQUE (municipality_id, position)
);
COMMENT ON TABLE districts IS 'position orders the list and bounds it, since the API gives it without paging.';

CREATE TABLE departments (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  names jsonb NOT NULL,
  position integer NOT NULL CONSTRAINT departments_at_most_200 CHECK (position BETWEEN 1 AND 200),
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT departments_position_key UNIQUE (municipality_id, position)
);
COMMENT ON TABLE departments IS 'What owns cases.';

CREATE TABLE themes (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  names jsonb NOT NULL,
  department_id uuid NOT NULL,
  is_general boolean NOT NULL DEFAULT false,
  position integer NOT NULL CONSTRAINT themes_at_most_200 CHECK (position BETWEEN 1 AND 200),
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT themes_department_fkey FOREIGN KEY (municipality_id, department_id) REFERENCES departments (municipality_id, id),
  CONSTRAINT themes_position_key UNIQUE (municipality_id, position)
);
CREATE UNIQUE INDEX themes_general_key ON themes (municipality_id) WHERE is_general;
COMMENT ON TABLE themes IS 'Fields of life that ideas are about, each in the care of a department.';
COMMENT ON COLUMN themes.is_general IS 'The one theme for ideas thrown without any.';

CREATE TABLE posts (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  department_id uuid NOT NULL,
  titles jsonb NOT NULL,
  is_coordinator boolean NOT NULL DEFAULT false,
  position integer NOT NULL CONSTRAINT posts_at_most_200 CHECK (position BETWEEN 1 AND 200),
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT posts_department_fkey FOREIGN KEY (municipality_id, department_id) REFERENCES departments (municipality_id, id),
  CONSTRAINT posts_position_key UNIQUE (municipality_id, department_id, position)
);
CREATE UNIQUE INDEX posts_coordinator_key ON posts (municipality_id) WHERE is_coordinator;
COMMENT ON TABLE posts IS 'An office. Cases belong to posts, so they stay when the person changes.';

CREATE TABLE officials (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  post_id uuid NOT NULL,
  name text NOT NULL CHECK (name <> ''),
  email text,
  phone text,
  ended_at timestamptz,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT officials_post_fkey FOREIGN KEY (municipality_id, post_id) REFERENCES posts (municipality_id, id)
);
CREATE UNIQUE INDEX officials_holder_key ON officials (municipality_id, post_id) WHERE ended_at IS NULL;
COMMENT ON TABLE officials IS 'Who holds, or held until ended_at, a post. Kept for ever: answers are signed by them.';

CREATE TABLE responsibilities (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  department_id uuid NOT NULL,
  theme_id uuid,
  district_id uuid,
  post_id uuid NOT NULL,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT responsibilities_key UNIQUE NULLS NOT DISTINCT (municipality_id, department_id, theme_id, district_id),
  CONSTRAINT responsibilities_department_fkey FOREIGN KEY (municipality_id, department_id) REFERENCES departments (municipality_id, id),
  CONSTRAINT responsibilities_theme_fkey FOREIGN KEY (municipality_id, theme_id) REFERENCES themes (municipality_id, id),
  CONSTRAINT responsibilities_district_fkey FOREIGN KEY (municipality_id, district_id) REFERENCES districts (municipality_id, id),
  CONSTRAINT responsibilities_post_fkey FOREIGN KEY (municipality_id, post_id) REFERENCES posts (municipality_id, id)
);
COMMENT ON TABLE responsibilities IS
  'Which post answers in a department: theme and district, else theme, else district, else neither (its head).';

CREATE TABLE residents (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  display_name text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 60),
  locale text NOT NULL,
  strength identity_strength NOT NULL DEFAULT 'DEVICE',
  official_id uuid,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT residents_official_fkey FOREIGN KEY (municipality_id, official_id) REFERENCES officials (municipality_id, id)
);
COMMENT ON TABLE residents IS 'An account. official_id marks the account of an official.';

CREATE TABLE resident_roles (
  municipality_id uuid NOT NULL,
  resident_id uuid NOT NULL,
  role role NOT NULL CHECK (role <> 'RESIDENT'),
  PRIMARY KEY (municipality_id, resident_id, role),
  CONSTRAINT resident_roles_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id)
);
COMMENT ON TABLE resident_roles IS 'Roles beside RESIDENT, which every account has.';

CREATE TABLE idempotency_keys (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  caller_id uuid NOT NULL,
  operation text NOT NULL,
  key text NOT NULL CHECK (char_length(key) BETWEEN 20 AND 128),
  input_hash bytea NOT NULL,
  result_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (municipality_id, caller_id, operation, key)
);
CREATE INDEX idempotency_keys_created_idx ON idempotency_keys (created_at);
COMMENT ON TABLE idempotency_keys IS 'What a key made, for seven days. caller_id is the nil UUID for callers without an account yet.';

CREATE TABLE groups (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  display_name text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 60),
  kind group_kind NOT NULL,
  description text NOT NULL CHECK (char_length(description) <= 2000),
  approves_members boolean NOT NULL CONSTRAINT groups_registered_approve CHECK (approves_members OR kind <> 'REGISTERED'),
  member_count integer NOT NULL DEFAULT 0 CHECK (member_count >= 0),
  PRIMARY KEY (municipality_id, id)
);
CREATE INDEX groups_name_idx ON groups USING gin (municipality_id, lower(display_name) gin_trgm_ops);
COMMENT ON TABLE groups IS 'People who act together; they stay when everybody has left, since their ideas do.';
COMMENT ON COLUMN groups.member_count IS 'Members and contacts; those PENDING are not counted.';

CREATE TABLE group_members (
  municipality_id uuid NOT NULL,
  group_id uuid NOT NULL,
  resident_id uuid NOT NULL,
  role group_role NOT NULL,
  joined_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
  PRIMARY KEY (municipality_id, group_id, resident_id),
  CONSTRAINT group_members_group_fkey FOREIGN KEY (municipality_id, group_id) REFERENCES groups (municipality_id, id),
  CONSTRAINT group_members_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id)
);
CREATE INDEX group_members_joined_idx ON group_members (municipality_id, group_id, joined_at, resident_id);
CREATE INDEX group_members_resident_idx ON group_members (municipality_id, resident_id, group_id);
COMMENT ON TABLE group_members IS 'joined_at is when a request was made, then when it was approved.';

CREATE TABLE status_transitions (
  from_status idea_status NOT NULL,
  to_status idea_status NOT NULL,
  via text NOT NULL,
  PRIMARY KEY (from_status, to_status, via)
);
COMMENT ON TABLE status_transitions IS
  'Every lawful step, the same for all municipalities: via is a response kind, or WITHDRAWAL or MERGE. A step to itself is a response that changes no status.';
INSERT INTO status_transitions (from_status, to_status, via)
SELECT s, s, k
FROM unnest(enum_range(NULL::idea_status)) AS s,
  unnest(ARRAY['RECEIPT', 'ASSIGNMENT', 'TRANSFER', 'PART_ANSWER', 'DECISION', 'PROGRESS', 'OUTCOME']) AS k
WHERE s NOT IN ('MERGED', 'WITHDRAWN')
UNION ALL
SELECT 'OPEN', 'UNDER_REVIEW', k FROM unnest(ARRAY['RECEIPT', 'ASSIGNMENT', 'TRANSFER', 'PART_ANSWER', 'DECISION', 'PROGRESS', 'OUTCOME']) AS k
UNION ALL
SELECT f, t, 'DECISION'
FROM unnest(ARRAY['OPEN', 'UNDER_REVIEW', 'PLANNED', 'TRIAL']::idea_status[]) AS f, unnest(ARRAY['PLANNED', 'TRIAL']::idea_status[]) AS t
WHERE f <> t
UNION ALL
SELECT f, 'DECLINED', 'DECISION' FROM unnest(ARRAY['OPEN', 'UNDER_REVIEW', 'PLANNED', 'TRIAL']::idea_status[]) AS f
UNION ALL
SELECT f, 'DONE', 'OUTCOME' FROM unnest(ARRAY['PLANNED', 'TRIAL']::idea_status[]) AS f
UNION ALL
SELECT f, 'OPEN', 'DECISION' FROM unnest(ARRAY['UNDER_REVIEW', 'DECLINED']::idea_status[]) AS f
UNION ALL
SELECT f, 'WITHDRAWN', 'WITHDRAWAL' FROM unnest(ARRAY['OPEN', 'UNDER_REVIEW']::idea_status[]) AS f
UNION ALL
SELECT f, 'MERGED', 'MERGE' FROM unnest(ARRAY['OPEN', 'UNDER_REVIEW']::idea_status[]) AS f;

CREATE TABLE idea_numbers (
  municipality_id uuid PRIMARY KEY REFERENCES municipalities (id),
  last integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE idea_numbers IS 'The last short number given; its row lock makes numbers unique and without gaps.';

CREATE TABLE ideas (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  number integer NOT NULL,
  title text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 500),
  body text NOT NULL CHECK (char_length(body) <= 10000),
  locale text NOT NULL,
  status idea_status NOT NULL DEFAULT 'OPEN',
  created_at timestamptz NOT NULL GENERATED ALWAYS AS (uuid_extract_timestamp(id)) STORED,
  edited_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
  version integer NOT NULL DEFAULT 1,
  author_id uuid,
  author_group_id uuid,
  theme_id uuid NOT NULL,
  district_id uuid,
  latitude double precision,
  longitude double precision,
  department_id uuid NOT NULL,
  post_id uuid NOT NULL,
  merged_into_id uuid,
  reaction_due_at timestamptz NOT NULL,
  answer_due_at timestamptz NOT NULL,
  first_response_at timestamptz,
  answered_at timestamptz,
  hidden_at timestamptz,
  hidden_reason text,
  placed_on date NOT NULL,
  was_listed boolean NOT NULL DEFAULT false,
  was_theme_id uuid NOT NULL,
  was_district_id uuid,
  listed boolean NOT NULL GENERATED ALWAYS AS (status NOT IN ('MERGED', 'WITHDRAWN') AND hidden_at IS NULL) STORED,
  due_at timestamptz NOT NULL GENERATED ALWAYS AS (
    CASE
      WHEN answered_at IS NOT NULL OR status IN ('MERGED', 'WITHDRAWN') THEN timestamptz '9999-12-31 00:00:00+00'
      WHEN first_response_at IS NULL THEN reaction_due_at
      ELSE answer_due_at
    END) STORED,
  search tsvector NOT NULL GENERATED ALWAYS AS (
    to_tsvector('finnish'::regconfig, title || ' ' || body) || to_tsvector('swedish'::regconfig, title || ' ' || body)
    || to_tsvector('simple'::regconfig, title || ' ' || body)) STORED,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT ideas_number_key UNIQUE (municipality_id, number),
  CONSTRAINT ideas_author_fkey FOREIGN KEY (municipality_id, author_id) REFERENCES residents (municipality_id, id),
  CONSTRAINT ideas_author_group_fkey FOREIGN KEY (municipality_id, author_group_id) REFERENCES groups (municipality_id, id),
  CONSTRAINT ideas_theme_fkey FOREIGN KEY (municipality_id, theme_id) REFERENCES themes (municipality_id, id),
  CONSTRAINT ideas_district_fkey FOREIGN KEY (municipality_id, district_id) REFERENCES districts (municipality_id, id),
  CONSTRAINT ideas_department_fkey FOREIGN KEY (municipality_id, department_id) REFERENCES departments (municipality_id, id),
  CONSTRAINT ideas_post_fkey FOREIGN KEY (municipality_id, post_id) REFERENCES posts (municipality_id, id),
  CONSTRAINT ideas_merged_into_fkey FOREIGN KEY (municipality_id, merged_into_id) REFERENCES ideas (municipality_id, id),
  CONSTRAINT ideas_location_whole CHECK ((latitude IS NULL) = (longitude IS NULL)),
  CONSTRAINT ideas_location_on_earth CHECK (latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180),
  CONSTRAINT ideas_merged_known CHECK ((status = 'MERGED') = (merged_into_id IS NOT NULL)),
  CONSTRAINT ideas_hidden_with_reason CHECK ((hidden_at IS NULL) = (hidden_reason IS NULL))
);
COMMENT ON TABLE ideas IS 'One row an idea; what happened to it is in responses, moderations and votes.';
COMMENT ON COLUMN ideas.author_id IS 'The resident who threw it, also when in the name of author_group_id; null after erasure.';
COMMENT ON COLUMN ideas.post_id IS 'The post that answers for it.';
COMMENT ON COLUMN ideas.due_at IS 'When the next reaction or answer is due; the year 9999 where nothing is.';
COMMENT ON COLUMN ideas.placed_on IS
  'Local day of the last change of listed, theme or district; was_… hold these as they stood at that midnight, for previousRank.';

CREATE INDEX ideas_district_idx ON ideas (municipality_id, district_id, id);
CREATE INDEX ideas_theme_idx ON ideas (municipality_id, theme_id, id);
CREATE INDEX ideas_department_idx ON ideas (municipality_id, department_id, id);
CREATE INDEX ideas_post_idx ON ideas (municipality_id, post_id, id);
CREATE INDEX ideas_status_idx ON ideas (municipality_id, status, id);
CREATE INDEX ideas_due_idx ON ideas (municipality_id, due_at, id);
CREATE INDEX ideas_author_idx ON ideas (municipality_id, author_id, id);
CREATE INDEX ideas_search_idx ON ideas USING gin (municipality_id, search);
CREATE INDEX ideas_title_idx ON ideas USING gin (municipality_id, lower(title) gin_trgm_ops);

CREATE FUNCTION refuse_unlawful_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM status_transitions WHERE from_status = OLD.status AND to_status = NEW.status) THEN
    RAISE EXCEPTION 'an idea cannot go from % to %', OLD.status, NEW.status
      USING ERRCODE = 'check_violation', CONSTRAINT = 'ideas_status_transition', TABLE = 'ideas';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER ideas_status_transition BEFORE UPDATE OF status ON ideas
FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION refuse_unlawful_status();

CREATE TABLE idea_groups (
  municipality_id uuid NOT NULL,
  idea_id uuid NOT NULL,
  group_id uuid NOT NULL,
  position integer NOT NULL CONSTRAINT idea_groups_at_most_10 CHECK (position BETWEEN 1 AND 10),
  PRIMARY KEY (municipality_id, idea_id, group_id),
  CONSTRAINT idea_groups_position_key UNIQUE (municipality_id, idea_id, position),
  CONSTRAINT idea_groups_idea_fkey FOREIGN KEY (municipality_id, idea_id) REFERENCES ideas (municipality_id, id),
  CONSTRAINT idea_groups_group_fkey FOREIGN KEY (municipality_id, group_id) REFERENCES groups (municipality_id, id)
);
CREATE INDEX idea_groups_group_idx ON idea_groups (municipality_id, group_id, idea_id);
COMMENT ON TABLE idea_groups IS 'The groups that own an idea together; position 1 threw it.';

CREATE TABLE votes (
  municipality_id uuid NOT NULL,
  idea_id uuid NOT NULL,
  resident_id uuid NOT NULL,
  voted boolean NOT NULL,
  strength identity_strength NOT NULL,
  channel vote_channel NOT NULL,
  cast_at timestamptz CONSTRAINT votes_cast_when_voted CHECK (cast_at IS NOT NULL OR NOT voted),
  decided_at timestamptz NOT NULL,
  PRIMARY KEY (municipality_id, idea_id, resident_id),
  CONSTRAINT votes_idea_fkey FOREIGN KEY (municipality_id, idea_id) REFERENCES ideas (municipality_id, id),
  CONSTRAINT votes_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id)
) WITH (fillfactor = 90);
CREATE INDEX votes_resident_idx ON votes (municipality_id, resident_id, idea_id);
COMMENT ON TABLE votes IS 'One row by resident and idea, kept when withdrawn, so that a late older statement changes nothing.';
COMMENT ON COLUMN votes.cast_at IS 'First casting; stays when the vote is withdrawn and cast again. Decides the day it counts for.';
COMMENT ON COLUMN votes.decided_at IS 'When the statement that stands was made, by the phone; never later than the server''s clock.';

CREATE TABLE idea_tallies (
  municipality_id uuid NOT NULL,
  idea_id uuid NOT NULL,
  device_count integer NOT NULL DEFAULT 0 CHECK (device_count >= 0),
  email_count integer NOT NULL DEFAULT 0 CHECK (email_count >= 0),
  strong_count integer NOT NULL DEFAULT 0 CHECK (strong_count >= 0),
  vote_count integer NOT NULL DEFAULT 0 CHECK (vote_count >= 0),
  version bigint NOT NULL DEFAULT 1,
  changed_xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
  changed_on date NOT NULL,
  was_vote_count integer NOT NULL DEFAULT 0,
  PRIMARY KEY (municipality_id, idea_id),
  CONSTRAINT idea_tallies_idea_fkey FOREIGN KEY (municipality_id, idea_id) REFERENCES ideas (municipality_id, id)
) WITH (fillfactor = 70);
CREATE INDEX idea_tallies_most_voted_idx ON idea_tallies (municipality_id, vote_count DESC, idea_id);
CREATE INDEX idea_tallies_changed_idx ON idea_tallies (changed_xid);
COMMENT ON TABLE idea_tallies IS 'Counts of an idea''s votes, moved in the statement that moves the vote; apart from ideas because it changes often.';
COMMENT ON COLUMN idea_tallies.vote_count IS 'Votes of the municipality''s voteStrength and stronger: what counts.';
COMMENT ON COLUMN idea_tallies.version IS 'Grows with every change that a board shows: counts, listing, theme, district. Guards late writers to Redis.';
COMMENT ON COLUMN idea_tallies.changed_xid IS 'Transaction of the last such change: a feed in commit order, read up to pg_snapshot_xmin.';
COMMENT ON COLUMN idea_tallies.was_vote_count IS 'vote_count at the midnight before changed_on, for previousRank.';

CREATE TABLE tally_days (
  municipality_id uuid NOT NULL,
  idea_id uuid NOT NULL,
  day date NOT NULL,
  vote_count integer NOT NULL,
  changed_on date NOT NULL,
  was_vote_count integer NOT NULL DEFAULT 0,
  PRIMARY KEY (municipality_id, idea_id, day),
  CONSTRAINT tally_days_idea_fkey FOREIGN KEY (municipality_id, idea_id) REFERENCES ideas (municipality_id, id)
) WITH (fillfactor = 70);
CREATE INDEX tally_days_day_idx ON tally_days (municipality_id, day) INCLUDE (idea_id, vote_count);
COMMENT ON TABLE tally_days IS 'Counted votes by the local day they were cast on: the day buckets of DAY, WEEK, MONTH and TRENDING.';

CREATE TABLE responses (
  municipality_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  idea_id uuid NOT NULL,
  kind text NOT NULL,
  body text NOT NULL CHECK (char_length(body) BETWEEN 1 AND 10000),
  reasons text CHECK (char_length(reasons) BETWEEN 1 AND 10000),
  next_step text CHECK (char_length(next_step) BETWEEN 1 AND 2000),
  next_step_due_at timestamptz,
  official_id uuid NOT NULL,
  department_id uuid NOT NULL,
  to_department_id uuid,
  to_official_id uuid,
  status_before idea_status NOT NULL,
  status_after idea_status NOT NULL,
  created_at timestamptz NOT NULL GENERATED ALWAYS AS (uuid_extract_timestamp(id)) STORED,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT responses_idea_fkey FOREIGN KEY (municipality_id, idea_id) REFERENCES ideas (municipality_id, id),
  CONSTRAINT responses_official_fkey FOREIGN KEY (municipality_id, official_id) REFERENCES officials (municipality_id, id),
  CONSTRAINT responses_department_fkey FOREIGN KEY (municipality_id, department_id) REFERENCES departments (municipality_id, id),
  CONSTRAINT responses_to_department_fkey FOREIGN KEY (municipality_id, to_department_id) REFERENCES departments (municipality_id, id),
  CONSTRAINT responses_to_official_fkey FOREIGN KEY (municipality_id, to_official_id) REFERENCES officials (municipality_id, id),
  CONSTRAINT responses_status_transition FOREIGN KEY (status_before, status_after, kind) REFERENCES status_transitions (from_status, to_status, via),
  CONSTRAINT responses_reasons_required CHECK (reasons IS NOT NULL OR (kind <> 'DECISION' AND status_after <> 'DECLINED')),
  CONSTRAINT responses_transfer_goes_somewhere CHECK (kind <> 'TRANSFER' OR to_department_id IS NOT NULL),
  CONSTRAINT responses_assignment_goes_to_somebody CHECK (kind <> 'ASSIGNMENT' OR to_official_id IS NOT NULL)
);
CREATE INDEX responses_idea_idx ON responses (municipality_id, idea_id, id);
COMMENT ON TABLE responses IS 'What the municipality said and did; never changed or removed.';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only', TABLE = TG_TABLE_NAME;
END $$;
CREATE TRIGGER responses_append_only BEFORE UPDATE OR DELETE ON responses FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE moderations (
  municipality_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  idea_id uuid NOT NULL,
  moderator_id uuid NOT NULL,
  hidden boolean NOT NULL,
  reason text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 2000),
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT moderations_idea_fkey FOREIGN KEY (municipality_id, idea_id) REFERENCES ideas (municipality_id, id),
  CONSTRAINT moderations_moderator_fkey FOREIGN KEY (municipality_id, moderator_id) REFERENCES residents (municipality_id, id)
);
CREATE TRIGGER moderations_append_only BEFORE UPDATE OR DELETE ON moderations FOR EACH ROW EXECUTE FUNCTION refuse_change();
COMMENT ON TABLE moderations IS 'Every hiding and showing, with its reason; never changed or removed.';

CREATE TABLE follows (
  municipality_id uuid NOT NULL,
  resident_id uuid NOT NULL,
  idea_id uuid NOT NULL,
  followed_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
  PRIMARY KEY (municipality_id, resident_id, idea_id),
  CONSTRAINT follows_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id),
  CONSTRAINT follows_idea_fkey FOREIGN KEY (municipality_id, idea_id) REFERENCES ideas (municipality_id, id)
);
CREATE INDEX follows_newest_idx ON follows (municipality_id, resident_id, followed_at, idea_id);
CREATE INDEX follows_idea_idx ON follows (municipality_id, idea_id, resident_id);
COMMENT ON TABLE follows IS 'Who follows which idea.';

CREATE TABLE notifications (
  municipality_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  resident_id uuid NOT NULL,
  event_id uuid NOT NULL,
  kind notification_kind NOT NULL,
  idea_id uuid NOT NULL,
  response_id uuid,
  created_at timestamptz NOT NULL GENERATED ALWAYS AS (uuid_extract_timestamp(id)) STORED,
  read_at timestamptz,
  PRIMARY KEY (municipality_id, resident_id, id),
  CONSTRAINT notifications_once UNIQUE (municipality_id, resident_id, event_id, kind),
  CONSTRAINT notifications_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id),
  CONSTRAINT notifications_idea_fkey FOREIGN KEY (municipality_id, idea_id) REFERENCES ideas (municipality_id, id),
  CONSTRAINT notifications_response_fkey FOREIGN KEY (municipality_id, response_id) REFERENCES responses (municipality_id, id)
);
CREATE INDEX notifications_unread_idx ON notifications (municipality_id, resident_id, id) WHERE read_at IS NULL;
COMMENT ON TABLE notifications IS 'At most one by person, event and kind: a job that runs twice adds nothing.';
COMMENT ON COLUMN notifications.event_id IS 'The response, or an id of its own where the event is a withdrawal.';

CREATE TABLE ballot_imports (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  file_sha256 bytea NOT NULL,
  file_name text NOT NULL,
  meta jsonb NOT NULL,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT ballot_imports_file_key UNIQUE (municipality_id, file_sha256)
);
COMMENT ON TABLE ballot_imports IS 'A participatory-budgeting file that was loaded; meta is its META section.';

CREATE TABLE imported_options (
  municipality_id uuid NOT NULL,
  import_id uuid NOT NULL,
  idea_id uuid NOT NULL,
  project_id text NOT NULL,
  published_votes integer,
  details jsonb NOT NULL,
  PRIMARY KEY (municipality_id, import_id, idea_id),
  CONSTRAINT imported_options_import_fkey FOREIGN KEY (municipality_id, import_id) REFERENCES ballot_imports (municipality_id, id),
  CONSTRAINT imported_options_idea_fkey FOREIGN KEY (municipality_id, idea_id) REFERENCES ideas (municipality_id, id)
);
COMMENT ON TABLE imported_options IS 'Which idea an option of the file became, with the columns an idea has no place for.';

CREATE TABLE imported_voters (
  municipality_id uuid NOT NULL,
  import_id uuid NOT NULL,
  resident_id uuid NOT NULL,
  voter_id text NOT NULL,
  age integer,
  age_group text,
  sex text,
  area text,
  PRIMARY KEY (municipality_id, import_id, resident_id),
  CONSTRAINT imported_voters_import_fkey FOREIGN KEY (municipality_id, import_id) REFERENCES ballot_imports (municipality_id, id),
  CONSTRAINT imported_voters_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id)
);
COMMENT ON TABLE imported_voters IS 'Pseudonymous voters of a file, for breakdowns; known to the import alone.';
CREATE TABLE sessions (
  municipality_id uuid NOT NULL REFERENCES municipalities (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  resident_id uuid NOT NULL,
  head_hash bytea NOT NULL,
  refreshed_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL CHECK (expires_at > refreshed_at),
  ended_at timestamptz,
  PRIMARY KEY (municipality_id, id),
  CONSTRAINT sessions_resident_fkey FOREIGN KEY (municipality_id, resident_id) REFERENCES residents (municipality_id, id)
);
CREATE INDEX sessions_resident_idx ON sessions (municipality_id, resident_id, id);
COMMENT ON TABLE sessions IS 'A device signed in: a family of refresh tokens. auth/refresh.py tells the rule.';
COMMENT ON COLUMN sessions.head_hash IS 'The youngest refresh token that was ever used; the first one at the start.';

CREATE TABLE refresh_tokens (
  municipality_id uuid NOT NULL,
  token_hash bytea NOT NULL CHECK (octet_length(token_hash) = 32),
  session_id uuid NOT NULL,
  parent_hash bytea,
  issued_at timestamptz NOT NULL,
  PRIMARY KEY (municipality_id, token_hash),
  CONSTRAINT refresh_tokens_session_fkey FOREIGN KEY (municipality_id, session_id)
    REFERENCES sessions (municipality_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_session_idx ON refresh_tokens (municipality_id, session_id);
COMMENT ON TABLE refresh_tokens IS 'Hashes only. Spent ones are kept so that their reuse is noticed; rows never change.';
COMMENT ON COLUMN refresh_tokens.parent_hash IS 'The token this one was given for; null for the first. No foreign key: old parents may go.';
