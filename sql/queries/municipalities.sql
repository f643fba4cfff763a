-- name: slugs
-- Every municipality, by slug.
SELECT id, slug FROM municipalities ORDER BY slug;

-- name: catalogue
-- What changes seldom and is small, of one municipality, in one answer: lists in their order, posts with their holders.
SELECT m.id, m.slug, m.names, m.population, m.time_zone, m.locales, m.vote_strength::text, m.reaction_days, m.answer_days,
  m.rate_limits_lifted,
  (SELECT coalesce(jsonb_agg(jsonb_build_array(id, names) ORDER BY position), '[]')
   FROM districts WHERE municipality_id = m.id) AS districts,
  (SELECT coalesce(jsonb_agg(jsonb_build_array(id, names) ORDER BY position), '[]')
   FROM departments WHERE municipality_id = m.id) AS departments,
  (SELECT coalesce(jsonb_agg(jsonb_build_array(id, names, department_id, is_general) ORDER BY position), '[]')
   FROM themes WHERE municipality_id = m.id) AS themes,
  (SELECT coalesce(jsonb_agg(jsonb_build_array(id, department_id, titles, is_coordinator) ORDER BY position, id), '[]')
   FROM posts WHERE municipality_id = m.id) AS posts,
  (SELECT coalesce(jsonb_agg(jsonb_build_array(id, post_id, name, email, phone, ended_at IS NULL) ORDER BY id), '[]')
   FROM officials WHERE municipality_id = m.id) AS officials,
  (SELECT coalesce(jsonb_agg(jsonb_build_array(department_id, theme_id, district_id, post_id)), '[]')
   FROM responsibilities WHERE municipality_id = m.id) AS responsibilities
FROM municipalities AS m
WHERE m.id = $1;

-- name: municipality_sender
-- What a mail of the municipality says of it.
SELECT names, locales, time_zone FROM municipalities WHERE id = $1;

-- name: set_vote_strength
-- From which strength on votes count. Tallies need a recount afterwards. Gives the transaction's number.
UPDATE municipalities SET vote_strength = $2::identity_strength WHERE id = $1
RETURNING pg_current_xact_id()::text::bigint;

-- name: seen_from_before
-- Whether somebody still reads the database as it was before transaction $1, which is over.
SELECT EXISTS (
  SELECT FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND age(backend_xmin) >= age($1::bigint::text::xid8::xid)
);

-- name: add_municipality
-- A municipality that has no offices yet.
INSERT INTO municipalities (slug, names, population, time_zone, locales, vote_strength, reaction_days, answer_days)
VALUES ($1, $2, $3, $4, $5, $6::identity_strength, $7, $8)
RETURNING id;
