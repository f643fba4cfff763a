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
