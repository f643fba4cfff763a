-- name: lift_timeouts
-- A bulk load takes as long as it takes; holds for this transaction only.
SELECT set_config(name, '0', true)
FROM unnest(ARRAY['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) AS name;

-- name: make_municipality
-- A municipality with the least that one needs: a department, its coordinator's post with a holder, the general theme.
-- No row where the slug is taken.
WITH municipality AS (
  INSERT INTO municipalities (slug, names, population, time_zone, locales, rate_limits_lifted)
  VALUES ($1, $2, 0, $3, ARRAY[$4::text], $5)
  ON CONFLICT (slug) DO NOTHING
  RETURNING id
), department AS (
  INSERT INTO departments (municipality_id, names, position)
  SELECT id, '{"en": "Participation"}', 1 FROM municipality
  RETURNING municipality_id, id
), theme AS (
  INSERT INTO themes (municipality_id, names, department_id, is_general, position)
  SELECT municipality_id, '{"en": "General"}', id, true, 1 FROM department
), post AS (
  INSERT INTO posts (municipality_id, department_id, titles, is_coordinator, position)
  SELECT municipality_id, id, '{"en": "Participation coordinator"}', true, 1 FROM department
  RETURNING municipality_id, department_id, id
), official AS (
  INSERT INTO officials (municipality_id, post_id, name) SELECT municipality_id, id, 'Coordinator' FROM post
), responsibility AS (
  INSERT INTO responsibilities (municipality_id, department_id, post_id) SELECT municipality_id, department_id, id FROM post
)
SELECT id FROM municipality;

-- name: hold_municipality
-- The municipality with this slug, locked so that imports into it come one after another; its residents go on.
SELECT id FROM municipalities WHERE slug = $1 FOR NO KEY UPDATE;

-- name: add_themes
-- Themes at the end of the list, in the general theme's department.
INSERT INTO themes (municipality_id, names, department_id, position)
SELECT g.municipality_id, jsonb_build_object($2::text, n.name), g.department_id,
  (SELECT max(position) FROM themes WHERE municipality_id = $1) + n.number
FROM themes AS g, unnest($3::text[]) WITH ORDINALITY AS n (name, number)
WHERE g.municipality_id = $1 AND g.is_general;

-- name: add_districts
-- Districts at the end of the list.
INSERT INTO districts (municipality_id, names, position)
SELECT $1, jsonb_build_object($2::text, n.name),
  (SELECT coalesce(max(position), 0) FROM districts WHERE municipality_id = $1) + n.number
FROM unnest($3::text[]) WITH ORDINALITY AS n (name, number);

-- name: record_import
-- The file itself. Violates ballot_imports_file_key where the municipality holds it already.
INSERT INTO ballot_imports (municipality_id, file_sha256, file_name, meta) VALUES ($1, $2, $3, $4) RETURNING id;

-- name: new_ids
-- So many new ids, each younger than the one before.
SELECT array_agg(uuidv7()) FROM generate_series(1, $1::integer);

-- name: add_ideas
-- OPEN ideas without an author, numbered in the order given, with their tallies and clocks and the options they were.
WITH m AS (
  SELECT id, reaction_days, answer_days, time_zone, (clock_timestamp() AT TIME ZONE time_zone)::date AS today
  FROM municipalities WHERE id = $1
), numbers AS (
  INSERT INTO idea_numbers AS n (municipality_id, last) VALUES ($1, cardinality($3::uuid[]))
  ON CONFLICT (municipality_id) DO UPDATE SET last = n.last + excluded.last
  RETURNING last - cardinality($3::uuid[]) AS before
), options AS MATERIALIZED (
  SELECT * FROM unnest($3::uuid[], $4::text[], $5::text[], $7::uuid[], $8::uuid[], $9::uuid[], $10::uuid[],
    $11::double precision[], $12::double precision[], $13::text[], $14::integer[], $15::jsonb[])
  WITH ORDINALITY AS o (idea_id, title, body, theme_id, district_id, department_id, post_id, latitude, longitude,
    project_id, published_votes, details, number)
), added AS (
  INSERT INTO ideas (municipality_id, id, number, title, body, locale, theme_id, district_id, department_id, post_id,
    latitude, longitude, reaction_due_at, answer_due_at, placed_on, was_theme_id, was_district_id)
  SELECT m.id, o.idea_id, n.before + o.number, o.title, o.body, $6, o.theme_id, o.district_id, o.department_id, o.post_id,
    o.latitude, o.longitude,
    (m.today + m.reaction_days + 1)::timestamp AT TIME ZONE m.time_zone - interval '1 millisecond',
    (m.today + m.answer_days + 1)::timestamp AT TIME ZONE m.time_zone - interval '1 millisecond',
    m.today, o.theme_id, o.district_id
  FROM m, numbers AS n, options AS o ORDER BY o.number
), tallies AS (
  INSERT INTO idea_tallies (municipality_id, idea_id, changed_on) SELECT m.id, o.idea_id, m.today FROM m, options AS o
)
INSERT INTO imported_options (municipality_id, import_id, idea_id, project_id, published_votes, details)
SELECT m.id, $2, o.idea_id, o.project_id, o.published_votes, o.details FROM m, options AS o;

-- name: hold_ideas
-- Stops votes on the municipality's ideas until the transaction ends, in the order in which set_votes locks them.
SELECT count(*) FROM (
  SELECT FROM ideas WHERE municipality_id = $1 ORDER BY id FOR NO KEY UPDATE
) AS held;

-- name: import_totals
-- Of each option of an import: its project id, what the tally says, what the votes say.
SELECT o.project_id, t.vote_count,
  (SELECT count(*) FROM votes AS v, municipalities AS m
   WHERE v.municipality_id = o.municipality_id AND v.idea_id = o.idea_id AND m.id = o.municipality_id
     AND v.voted AND v.strength >= m.vote_strength) AS votes
FROM imported_options AS o JOIN idea_tallies AS t ON t.municipality_id = o.municipality_id AND t.idea_id = o.idea_id
WHERE o.municipality_id = $1 AND o.import_id = $2;
