-- The municipality `bench`: 10,000 ideas, of which the last 200 take the bench's votes and start with none; 2,000 residents, and
-- 100 more who vote for the ideas at the top while the board is read; about 100,000 votes, spread like real ones (few ideas
-- have many), a third as many follows, responses on two ideas of three. The same on every run, by day.
CREATE FUNCTION pg_temp.made_id(kind text, n integer, at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN (
  lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
  || '7' || substr(md5(kind || n), 1, 3) || '8' || substr(md5(kind || n), 4, 15)
)::uuid;
CREATE FUNCTION pg_temp.names(word text, n integer) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object('fi', word || ' ' || n, 'sv', word || ' ' || n || ' sv', 'en', word || ' ' || n || ' en');

CREATE TEMP TABLE made AS
SELECT pg_temp.made_id('municipality', 1, '2026-01-01Z') AS municipality_id, 'Europe/Helsinki' AS time_zone,
  (now() AT TIME ZONE 'Europe/Helsinki')::date AS today;

INSERT INTO municipalities (id, slug, names, population, time_zone, locales)
SELECT municipality_id, 'bench', pg_temp.names('Municipality', 1), 60000, time_zone, '{fi,sv,en}' FROM made;

INSERT INTO districts (municipality_id, id, names, position)
SELECT municipality_id, pg_temp.made_id('district', n, '2026-01-01Z'), pg_temp.names('District', n), n
FROM made, generate_series(1, 10) AS n;

INSERT INTO departments (municipality_id, id, names, position)
SELECT municipality_id, pg_temp.made_id('department', n, '2026-01-01Z'), pg_temp.names('Department', n), n
FROM made, generate_series(1, 5) AS n;

INSERT INTO themes (municipality_id, id, names, department_id, is_general, position)
SELECT municipality_id, pg_temp.made_id('theme', n, '2026-01-01Z'), pg_temp.names('Theme', n),
  pg_temp.made_id('department', 1 + n % 5, '2026-01-01Z'), n = 10, n
FROM made, generate_series(1, 10) AS n;

INSERT INTO posts (municipality_id, id, department_id, titles, is_coordinator, position)
SELECT municipality_id, pg_temp.made_id('post', n, '2026-01-01Z'), pg_temp.made_id('department', n, '2026-01-01Z'),
  pg_temp.names('Head', n), n = 1, 1
FROM made, generate_series(1, 5) AS n;

INSERT INTO officials (municipality_id, id, post_id, name)
SELECT municipality_id, pg_temp.made_id('official', n, '2026-01-01Z'), pg_temp.made_id('post', n, '2026-01-01Z'), 'Official ' || n
FROM made, generate_series(1, 5) AS n;

INSERT INTO responsibilities (municipality_id, department_id, post_id)
SELECT municipality_id, pg_temp.made_id('department', n, '2026-01-01Z'), pg_temp.made_id('post', n, '2026-01-01Z')
FROM made, generate_series(1, 5) AS n;

INSERT INTO residents (municipality_id, id, display_name, locale, strength)
SELECT municipality_id, pg_temp.made_id('resident', n, '2026-01-01Z'), 'Resident ' || n, (ARRAY['fi', 'sv', 'en'])[1 + n % 3],
  (ARRAY['DEVICE', 'DEVICE', 'DEVICE', 'EMAIL', 'STRONG']::identity_strength[])[1 + n % 5]
FROM made, generate_series(1, 2100) AS n;

-- An idea's history, as its number's last digit wants it: a receipt (late for three in ten), a part of the answer, a decision.
CREATE TEMP TABLE history AS
SELECT n, at, theme, district, 1 + (1 + n % 10) % 5 AS office, n <= 9800 AND n % 10 = 9 AS plans,
  (at::date + 8)::timestamp AT TIME ZONE time_zone - interval '1 millisecond' AS reaction_due_at,
  (at::date + 31)::timestamp AT TIME ZONE time_zone - interval '1 millisecond' AS answer_due_at,
  CASE WHEN n % 10 >= 3 AND received < today THEN received END AS received_at,
  CASE WHEN n % 10 >= 6 AND part_answered < today THEN part_answered END AS part_answered_at,
  CASE WHEN n % 10 >= 8 AND decided < today THEN decided END AS decided_at
FROM made, generate_series(1, 10000) AS n,
  LATERAL (SELECT today - interval '90 days' + n * interval '10 minutes') AS created (at),
  LATERAL (SELECT pg_temp.made_id('theme', 1 + n % 10, '2026-01-01Z'), pg_temp.made_id('district', 1 + n / 7 % 10, '2026-01-01Z')) AS place (theme, district),
  LATERAL (SELECT at + interval '1 day' * (2 + n % 10), at + interval '15 days', at + interval '27 days') AS answers (received, part_answered, decided);

INSERT INTO ideas (municipality_id, id, number, title, body, locale, status, author_id, theme_id, district_id, department_id, post_id,
  reaction_due_at, answer_due_at, first_response_at, answered_at, placed_on, was_listed, was_theme_id, was_district_id)
SELECT municipality_id, pg_temp.made_id('idea', n, at), n, 'Idea ' || n || ': benches, bicycles and lights by the shore',
  repeat('Why this would be good for everybody who lives here. ', 5), 'en',
  (CASE WHEN decided_at IS NOT NULL AND plans THEN 'PLANNED' WHEN received_at IS NOT NULL THEN 'UNDER_REVIEW' ELSE 'OPEN' END)::idea_status,
  pg_temp.made_id('resident', 1 + n * 37 % 2000, '2026-01-01Z'), theme, district,
  pg_temp.made_id('department', office, '2026-01-01Z'), pg_temp.made_id('post', office, '2026-01-01Z'),
  reaction_due_at, answer_due_at, received_at, decided_at, (at AT TIME ZONE time_zone)::date, true, theme, district
FROM made, history;

INSERT INTO responses (municipality_id, id, idea_id, kind, body, reasons, official_id, department_id, status_before, status_after)
SELECT municipality_id, pg_temp.made_id('response ' || kind, n, given_at), pg_temp.made_id('idea', n, at), kind,
  repeat('What the municipality says about it, in a few plain sentences. ', 4),
  CASE WHEN kind = 'DECISION' THEN 'Because it is cheap, and many asked for it.' END,
  pg_temp.made_id('official', office, '2026-01-01Z'), pg_temp.made_id('department', office, '2026-01-01Z'),
  (CASE WHEN kind = 'RECEIPT' THEN 'OPEN' ELSE 'UNDER_REVIEW' END)::idea_status,
  (CASE WHEN kind = 'DECISION' AND plans THEN 'PLANNED' ELSE 'UNDER_REVIEW' END)::idea_status
FROM made, history,
  LATERAL (VALUES ('RECEIPT', received_at), ('PART_ANSWER', part_answered_at), ('DECISION', decided_at)) AS given (kind, given_at)
WHERE given_at IS NOT NULL;

INSERT INTO idea_numbers (municipality_id, last) SELECT municipality_id, 10000 FROM made;

-- An idea's place in a shuffled order decides how many votes it has; one in a hundred was withdrawn.
INSERT INTO votes (municipality_id, idea_id, resident_id, voted, strength, channel, cast_at, decided_at)
SELECT i.municipality_id, i.id, r.id, j % 100 < 99, r.strength, 'PHONE', cast_at, cast_at
FROM made
JOIN ideas i USING (municipality_id)
CROSS JOIN LATERAL generate_series(1, floor(510 / sqrt(1 + i.number * 7919 % 9800))::integer) AS j
JOIN residents r ON (r.municipality_id, r.id) = (i.municipality_id, pg_temp.made_id('resident', 1 + (i.number * 13 + j * 3) % 2000, '2026-01-01Z'))
CROSS JOIN LATERAL (SELECT date_trunc('milliseconds', today - interval '1 hour' * (24 + (i.number * 31 + j * 17) % 1440))) AS cast_on (cast_at)
WHERE i.number <= 9800;

INSERT INTO idea_tallies (municipality_id, idea_id, device_count, email_count, strong_count, vote_count, was_vote_count, changed_on)
SELECT i.municipality_id, i.id,
  count(*) FILTER (WHERE voted AND strength = 'DEVICE'), count(*) FILTER (WHERE voted AND strength = 'EMAIL'),
  count(*) FILTER (WHERE voted AND strength = 'STRONG'), count(*) FILTER (WHERE voted), count(*) FILTER (WHERE voted), today
FROM made
JOIN ideas i USING (municipality_id)
LEFT JOIN votes v ON (v.municipality_id, v.idea_id) = (i.municipality_id, i.id)
GROUP BY i.municipality_id, i.id, today;

INSERT INTO tally_days (municipality_id, idea_id, day, vote_count, was_vote_count, changed_on)
SELECT v.municipality_id, v.idea_id, (v.cast_at AT TIME ZONE time_zone)::date, count(*) FILTER (WHERE voted), count(*) FILTER (WHERE voted), today
FROM made
JOIN votes v USING (municipality_id)
GROUP BY 1, 2, 3, today;

INSERT INTO follows (municipality_id, resident_id, idea_id, followed_at)
SELECT v.municipality_id, v.resident_id, v.idea_id, v.cast_at
FROM votes v JOIN ideas i ON (i.municipality_id, i.id) = (v.municipality_id, v.idea_id)
WHERE v.cast_at IS NOT NULL AND extract(hour FROM v.cast_at)::integer % 3 = 0;
