-- fragment: idea_columns
i.id, i.number, i.title, i.body, i.locale, i.status::text, i.created_at, i.edited_at, i.updated_at, i.version,
i.author_id, a.display_name AS author_name, i.author_group_id, i.theme_id, i.district_id, i.latitude, i.longitude,
i.department_id, i.post_id, i.merged_into_id, i.reaction_due_at, i.answer_due_at, i.first_response_at, i.answered_at,
i.due_at, i.hidden_reason, t.device_count, t.email_count, t.strong_count, t.vote_count

-- fragment: idea_tables
ideas AS i
JOIN idea_tallies AS t ON t.municipality_id = i.municipality_id AND t.idea_id = i.id
LEFT JOIN residents AS a ON a.municipality_id = i.municipality_id AND a.id = i.author_id

-- fragment: idea_visible
(i.hidden_at IS NULL OR $2::boolean OR i.author_id = $3::uuid)

-- fragment: trending_score
coalesce((
  SELECT sum(d.vote_count * (14 - ($4::date - d.day)))
  FROM tally_days AS d
  WHERE d.municipality_id = i.municipality_id AND d.idea_id = i.id AND d.day > $4::date - 14 AND d.day <= $4::date
), 0)

-- name: ideas_by_id
-- The ideas asked for that the viewer may see, in any order. $2 viewer moderates, $3 viewer.
SELECT {idea_columns}
FROM {idea_tables}
WHERE i.municipality_id = $1 AND i.id = ANY($4::uuid[]) AND {idea_visible};

-- name: idea_for_update
-- One idea, locked until the transaction ends: what is decided on this row holds. Sees hidden ones as ideas_by_id does.
SELECT {idea_columns}
FROM {idea_tables}
WHERE i.municipality_id = $1 AND i.id = $4 AND {idea_visible}
FOR NO KEY UPDATE OF i, t;

-- name: next_idea_number
-- The next short number; holds the municipality's number row until the transaction ends.
INSERT INTO idea_numbers AS n (municipality_id, last) VALUES ($1, 1)
ON CONFLICT (municipality_id) DO UPDATE SET last = n.last + 1
RETURNING last;

-- name: submit_idea
-- A new idea with its tally and its clock: due at the end of the local day, reaction_days and answer_days from now.
WITH m AS (
  SELECT id, reaction_days, answer_days, time_zone, (clock_timestamp() AT TIME ZONE time_zone)::date AS today
  FROM municipalities WHERE id = $1
), idea AS (
  INSERT INTO ideas (municipality_id, number, title, body, locale, author_id, author_group_id, theme_id, district_id,
    latitude, longitude, department_id, post_id, reaction_due_at, answer_due_at, placed_on, was_theme_id, was_district_id)
  SELECT m.id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
    (m.today + m.reaction_days + 1)::timestamp AT TIME ZONE m.time_zone - interval '1 millisecond',
    (m.today + m.answer_days + 1)::timestamp AT TIME ZONE m.time_zone - interval '1 millisecond',
    m.today, $8, $9
  FROM m
  RETURNING municipality_id, id, placed_on
), owner AS (
  INSERT INTO idea_groups (municipality_id, idea_id, group_id, position)
  SELECT municipality_id, id, $7, 1 FROM idea WHERE $7::uuid IS NOT NULL
), tally AS (
  INSERT INTO idea_tallies (municipality_id, idea_id, changed_on)
  SELECT municipality_id, id, placed_on FROM idea
), followed AS (
  INSERT INTO follows (municipality_id, resident_id, idea_id) SELECT municipality_id, $6, id FROM idea
)
SELECT id FROM idea;

-- name: others_voted
-- Whether somebody but who edits it ever voted for an idea. Not "but its author": of a group's idea that would tell a
-- contact whether the resident who threw it voted.
SELECT EXISTS (
  SELECT FROM votes
  WHERE municipality_id = $1 AND idea_id = $2 AND cast_at IS NOT NULL AND resident_id <> $3
);

-- name: edit_idea
-- Writes the text and the place of a locked idea. Needs touch_tally where the place changed.
UPDATE ideas AS i SET
  title = $3, body = $4, theme_id = $5, district_id = $6, latitude = $7, longitude = $8, department_id = $9, post_id = $10,
  was_listed = CASE WHEN i.placed_on < m.today THEN i.listed ELSE i.was_listed END,
  was_theme_id = CASE WHEN i.placed_on < m.today THEN i.theme_id ELSE i.was_theme_id END,
  was_district_id = CASE WHEN i.placed_on < m.today THEN i.district_id ELSE i.was_district_id END,
  left_scope_ids = ARRAY(
    SELECT DISTINCT s.id FROM unnest(i.left_scope_ids || ARRAY[i.theme_id, i.district_id]) AS s (id)
    WHERE s.id <> $5 AND s.id IS DISTINCT FROM $6
  ),
  placed_on = m.today, version = i.version + 1,
  edited_at = date_trunc('milliseconds', clock_timestamp()), updated_at = date_trunc('milliseconds', clock_timestamp())
FROM (SELECT (clock_timestamp() AT TIME ZONE time_zone)::date AS today FROM municipalities WHERE id = $1) AS m
WHERE i.municipality_id = $1 AND i.id = $2;

-- name: place_idea
-- Sets status and hiding of a locked idea; the database refuses an unlawful step. Needs touch_tally.
UPDATE ideas AS i SET
  status = $3::idea_status,
  hidden_reason = $4, hidden_at = CASE WHEN $4::text IS NOT NULL THEN coalesce(i.hidden_at, clock_timestamp()) END,
  was_listed = CASE WHEN i.placed_on < m.today THEN i.listed ELSE i.was_listed END,
  was_theme_id = CASE WHEN i.placed_on < m.today THEN i.theme_id ELSE i.was_theme_id END,
  was_district_id = CASE WHEN i.placed_on < m.today THEN i.district_id ELSE i.was_district_id END,
  placed_on = m.today, version = i.version + 1, updated_at = date_trunc('milliseconds', clock_timestamp())
FROM (SELECT (clock_timestamp() AT TIME ZONE time_zone)::date AS today FROM municipalities WHERE id = $1) AS m
WHERE i.municipality_id = $1 AND i.id = $2;

-- name: touch_tally
-- Tells the boards that a locked idea changed otherwise than by votes.
UPDATE idea_tallies SET version = version + 1, changed_xid = pg_current_xact_id()::text::bigint
WHERE municipality_id = $1 AND idea_id = $2;

-- name: add_moderation
-- Appends to the log of hiding and showing.
INSERT INTO moderations (municipality_id, idea_id, moderator_id, hidden, reason) VALUES ($1, $2, $3, $4, $5);

-- name: similar_ideas
-- Listed ideas by likeness of their titles to a text, or to a part of it, most alike first.
SELECT greatest(similarity(lower(i.title), lower($4)), word_similarity(lower($4), lower(i.title))) AS similarity,
  {idea_columns}
FROM {idea_tables}
WHERE i.municipality_id = $1 AND i.listed AND {idea_visible} AND (lower(i.title) % lower($4) OR lower($4) <% lower(i.title))
  AND ($5::uuid IS NULL OR i.district_id = $5)
ORDER BY similarity DESC, i.id
LIMIT $6;
