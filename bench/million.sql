-- The municipality `bench` at any size, the same for a size on every run but for the day it is made on. Each `-- step:`
-- is run for itself, one `by N` for N ideas at a time, with their numbers in bench.first and bench.last.

-- step: sizes
CREATE TEMP TABLE size AS
SELECT n.ideas, n.votes, greatest(2000, n.votes / 50) AS residents, greatest(20, n.ideas / 100) AS groups,
  date_trunc('milliseconds', now()) AS made_at, 400 AS days, 60 AS voting_days, 6000 AS words, 50000 AS sentences
FROM (SELECT current_setting('bench.ideas')::integer AS ideas, current_setting('bench.votes')::integer AS votes) AS n;

CREATE FUNCTION pg_temp.draw(kind text, n bigint) RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(n, hashtext(kind)) & 9007199254740991) / 9007199254740992.0::double precision;
-- From 1 to `last`, the kth with a probability of about 1/k.
CREATE FUNCTION pg_temp.zipf(kind text, n bigint, last integer) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN floor(exp(pg_temp.draw(kind, n) * ln(last + 0.99)))::integer;
CREATE FUNCTION pg_temp.made_id(kind text, n integer, at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN (
  lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
  || '7' || substr(md5(kind || n), 1, 3) || '8' || substr(md5(kind || n), 4, 15)
)::uuid;
CREATE FUNCTION pg_temp.fixed_id(kind text, n integer) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN pg_temp.made_id(kind, n, '2025-01-01Z');
CREATE FUNCTION pg_temp.names(word text, n integer) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object('fi', word || ' ' || n, 'sv', word || ' ' || n || ' sv', 'en', word || ' ' || n || ' en');

-- step: offices
CREATE TEMP TABLE made AS
SELECT pg_temp.fixed_id('municipality', 1) AS municipality_id, 'Europe/Helsinki' AS time_zone,
  (made_at AT TIME ZONE 'Europe/Helsinki')::date AS today, size.*
FROM size;

INSERT INTO municipalities (id, slug, names, population, time_zone, locales)
SELECT municipality_id, 'bench', pg_temp.names('Municipality', 1), residents, time_zone, '{fi,sv,en}' FROM made;

INSERT INTO districts (municipality_id, id, names, position)
SELECT municipality_id, pg_temp.fixed_id('district', n), pg_temp.names('District', n), n
FROM made, generate_series(1, 30) AS n;

INSERT INTO departments (municipality_id, id, names, position)
SELECT municipality_id, pg_temp.fixed_id('department', n), pg_temp.names('Department', n), n
FROM made, generate_series(1, 8) AS n;

INSERT INTO themes (municipality_id, id, names, department_id, is_general, position)
SELECT municipality_id, pg_temp.fixed_id('theme', n), pg_temp.names('Theme', n), pg_temp.fixed_id('department', 1 + n % 8),
  n = 20, n
FROM made, generate_series(1, 20) AS n;

-- Post 60 answers for three ideas alone.
INSERT INTO posts (municipality_id, id, department_id, titles, is_coordinator, position)
SELECT municipality_id, pg_temp.fixed_id('post', n), pg_temp.fixed_id('department', 1 + n % 8), pg_temp.names('Post', n),
  n = 1, 1 + n / 8
FROM made, generate_series(1, 60) AS n;

INSERT INTO officials (municipality_id, id, post_id, name)
SELECT municipality_id, pg_temp.fixed_id('official', n), pg_temp.fixed_id('post', n), 'Official ' || n
FROM made, generate_series(1, 60) AS n;

INSERT INTO responsibilities (municipality_id, department_id, district_id, post_id)
SELECT municipality_id, pg_temp.fixed_id('department', n), NULL, pg_temp.fixed_id('post', 8 + (n + 6) % 8)
FROM made, generate_series(1, 8) AS n;

-- step: residents
INSERT INTO residents (municipality_id, id, display_name, locale, strength)
SELECT municipality_id, pg_temp.fixed_id('resident', n), 'Resident ' || n, (ARRAY['fi', 'fi', 'fi', 'sv', 'en'])[1 + n % 5],
  (ARRAY['DEVICE', 'DEVICE', 'DEVICE', 'EMAIL', 'STRONG']::identity_strength[])[1 + n / 5 % 5]
FROM made, generate_series(1, residents) AS n;

INSERT INTO resident_roles (municipality_id, resident_id, role)
SELECT municipality_id, pg_temp.fixed_id('resident', 1), 'MODERATOR' FROM made;

INSERT INTO groups (municipality_id, id, display_name, kind, description, approves_members, member_count)
SELECT municipality_id, pg_temp.fixed_id('group', n), 'Group ' || n, 'INFORMAL', '', false, 3
FROM made, generate_series(1, groups) AS n;

INSERT INTO group_members (municipality_id, group_id, resident_id, role)
SELECT municipality_id, pg_temp.fixed_id('group', n), pg_temp.fixed_id('resident', 1 + (n * 3 + m) % residents),
  CASE m WHEN 0 THEN 'CONTACT' ELSE 'MEMBER' END::group_role
FROM made, generate_series(1, groups) AS n, generate_series(0, 2) AS m;

-- step: words
CREATE TEMP TABLE words AS
SELECT row_number() OVER (ORDER BY n) AS n, word
FROM (
  SELECT n, word FROM unnest(string_to_array(
    'ja on ei että se olisi meidän tämä nyt voisi lisää uusi alueen lapset turvallinen puisto pyörätie leikkipaikka koulu valaistus ranta '
    'penkki bussipysäkki kirjasto roska-astia uimaranta katu metsä koirapuisto torikauppa jalkakäytävä liikunta nuoriso kahvila polku silta '
    'hiihtolatu talvi kesä lumi pysäköinti suojatie melu istutukset kukka viljelypalsta sauna laituri soutuvene museo konsertti taide '
    'päiväkoti vanhukset esteetön wc vesi hulevesi energia aurinko kierrätys tori keskusta park cykelväg lekplats skola belysning strand '
    'bänk bibliotek gata skog barn ungdomar trygg ny mer stad', ' ')) WITH ORDINALITY AS real (word, n)
  UNION ALL
  SELECT 100 + n, (
    SELECT string_agg((ARRAY['ka', 'lo', 'mi', 'tu', 're', 'pä', 'sy', 'ho', 'va', 'ni', 'ku', 'se', 'jä', 'le', 'ri', 'mö', 'pu', 'ta'])[
      1 + floor(18 * pg_temp.draw('syllable', n * 10 + s))::integer], '' ORDER BY s)
    FROM generate_series(1, 2 + n % 3) AS s
  ) || (ARRAY['', 'n', 'ssa', 'lla', 't', 'sta', 'an', 'nen'])[1 + n / 3 % 8]
  FROM size, generate_series(1, words) AS n
) AS real_and_made;
CREATE UNIQUE INDEX ON words (n);
ANALYZE words;

CREATE TEMP TABLE sentences AS
SELECT drawn.n, initcap(left(drawn.text, 1)) || substr(drawn.text, 2) || '.' AS text
FROM (
  SELECT s.n, string_agg(words.word, ' ' ORDER BY w) AS text
  FROM size, generate_series(1, sentences) AS s (n), generate_series(1, 14) AS w, words
  WHERE w <= 6 + s.n % 9 AND words.n = pg_temp.zipf('word', s.n * 20 + w, size.words)
  GROUP BY s.n
) AS drawn;
CREATE UNIQUE INDEX ON sentences (n);
ANALYZE sentences;

-- step: ideas by 50000
INSERT INTO ideas (municipality_id, id, number, title, body, locale, status, author_id, author_group_id, theme_id, district_id,
  department_id, post_id, merged_into_id, reaction_due_at, answer_due_at, first_response_at, answered_at, updated_at,
  hidden_at, hidden_reason, placed_on, was_listed, was_theme_id, was_district_id)
SELECT m.municipality_id, pg_temp.made_id('idea', number.n, at), number.n, initcap(left(w1.word, 1)) || substr(w1.word, 2) || concat_ws(' ', '', w2.word, w3.word, w4.word),
  concat_ws(' ', s1.text, s2.text, s3.text), 'fi', status::idea_status,
  pg_temp.fixed_id('resident', 1 + floor(pg_temp.draw('author', number.n) * m.residents)::integer),
  CASE WHEN pg_temp.draw('by a group', number.n) < 0.05
    THEN pg_temp.fixed_id('group', 1 + floor(m.groups * pg_temp.draw('group', number.n) ^ 2)::integer) END,
  place.theme_id, place.district_id, pg_temp.fixed_id('department', department), pg_temp.fixed_id('post', post),
  CASE status WHEN 'MERGED' THEN (SELECT pg_temp.made_id('idea', 1, m.made_at - interval '1 day' * m.days)) END,
  at + interval '7 days', at + interval '30 days', first_response_at, answered_at, coalesce(answered_at, first_response_at, at),
  CASE WHEN hidden THEN at + interval '1 hour' END, CASE WHEN hidden THEN 'Not about the municipality.' END,
  ((CASE WHEN hidden THEN at + interval '1 hour' ELSE coalesce(answered_at, at) END) AT TIME ZONE m.time_zone)::date,
  hidden OR answered_at IS NOT NULL, place.theme_id, place.district_id
FROM made AS m
CROSS JOIN generate_series(current_setting('bench.first')::integer, current_setting('bench.last')::integer) AS number (n)
CROSS JOIN LATERAL (
  SELECT m.made_at - interval '1 day' * (m.days * (1 - (number.n - 1)::double precision / m.ideas)),
    pg_temp.draw('status', number.n), pg_temp.draw('hidden', number.n) < 0.01 AND number.n > 1,
    1 + floor(20 * pg_temp.draw('theme', number.n) ^ 1.5)::integer,
    1 + floor(30 * pg_temp.draw('district', number.n) ^ 1.5)::integer,
    number.n IN (10, m.ideas / 2, m.ideas - 20)
) AS drawn (at_exactly, chance, hidden, theme, district, is_post_60)
CROSS JOIN LATERAL (
  SELECT date_trunc('milliseconds', drawn.at_exactly),
    CASE WHEN is_post_60 THEN 5 ELSE 1 + theme % 8 END,
    CASE WHEN is_post_60 THEN 60 ELSE 8 * floor(7 * pg_temp.draw('post', number.n) ^ 1.3)::integer + CASE theme % 8 WHEN 0 THEN 8 ELSE theme % 8 END END,
    CASE
      WHEN number.n = 1 THEN 'OPEN'
      WHEN chance < 0.01 THEN 'WITHDRAWN'
      WHEN chance < 0.015 THEN 'MERGED'
      WHEN at_exactly > m.made_at - interval '20 days' THEN CASE WHEN chance < 0.7 THEN 'OPEN' ELSE 'UNDER_REVIEW' END
      WHEN chance < 0.15 THEN 'OPEN' WHEN chance < 0.35 THEN 'UNDER_REVIEW' WHEN chance < 0.5 THEN 'PLANNED' WHEN chance < 0.55 THEN 'TRIAL'
      WHEN chance < 0.8 THEN 'DONE' ELSE 'DECLINED'
    END,
    pg_temp.fixed_id('theme', theme), CASE WHEN pg_temp.draw('nowhere', number.n) > 0.1 THEN pg_temp.fixed_id('district', district) END
) AS place (at, department, post, status, theme_id, district_id)
CROSS JOIN LATERAL (
  SELECT CASE WHEN status NOT IN ('OPEN', 'WITHDRAWN', 'MERGED') THEN least(at + interval '9 days' * pg_temp.draw('first', number.n), m.made_at) END,
    CASE WHEN status NOT IN ('OPEN', 'UNDER_REVIEW', 'WITHDRAWN', 'MERGED')
      THEN least(at + interval '9 days' + interval '25 days' * pg_temp.draw('answer', number.n), m.made_at) END
) AS reaction (first_exactly, answered_exactly)
CROSS JOIN LATERAL (
  SELECT date_trunc('milliseconds', first_exactly), date_trunc('milliseconds', answered_exactly)
) AS reacted (first_response_at, answered_at)
JOIN words AS w1 ON w1.n = 11 + pg_temp.zipf('title 1', number.n, m.words - 11)
JOIN words AS w2 ON w2.n = 11 + pg_temp.zipf('title 2', number.n, m.words - 11)
LEFT JOIN words AS w3 ON number.n % 4 > 0 AND w3.n = 11 + pg_temp.zipf('title 3', number.n, m.words - 11)
LEFT JOIN words AS w4 ON number.n % 4 > 1 AND w4.n = 11 + pg_temp.zipf('title 4', number.n, m.words - 11)
JOIN sentences AS s1 ON s1.n = 1 + floor(m.sentences * pg_temp.draw('sentence 1', number.n))::integer
JOIN sentences AS s2 ON s2.n = 1 + floor(m.sentences * pg_temp.draw('sentence 2', number.n))::integer
LEFT JOIN sentences AS s3 ON number.n % 3 > 0 AND s3.n = 1 + floor(m.sentences * pg_temp.draw('sentence 3', number.n))::integer
ORDER BY number.n;

-- step: what hangs on ideas
INSERT INTO idea_numbers (municipality_id, last) SELECT municipality_id, ideas FROM made;

INSERT INTO idea_groups (municipality_id, idea_id, group_id, position)
SELECT i.municipality_id, i.id, i.author_group_id, 1 FROM ideas AS i WHERE i.author_group_id IS NOT NULL
UNION ALL
SELECT i.municipality_id, i.id, pg_temp.fixed_id('group', 1 + floor(m.groups * pg_temp.draw('second', i.number) ^ 2)::integer), 2
FROM made AS m JOIN ideas AS i USING (municipality_id)
WHERE i.author_group_id IS NOT NULL AND i.number % 50 = 0
  AND i.author_group_id <> pg_temp.fixed_id('group', 1 + floor(m.groups * pg_temp.draw('second', i.number) ^ 2)::integer);

INSERT INTO follows (municipality_id, resident_id, idea_id, followed_at)
SELECT municipality_id, author_id, id, created_at FROM ideas;

INSERT INTO moderations (municipality_id, id, idea_id, moderator_id, hidden, reason)
SELECT municipality_id, pg_temp.made_id('moderation', number, hidden_at), id, pg_temp.fixed_id('resident', 1), true, hidden_reason
FROM ideas WHERE hidden_at IS NOT NULL;

-- step: responses
INSERT INTO responses (municipality_id, id, idea_id, kind, body, official_id, department_id, status_before, status_after)
SELECT i.municipality_id, pg_temp.made_id('receipt', i.number, i.first_response_at), i.id, 'RECEIPT', 'Kiitos, otamme tämän käsittelyyn.',
  o.id, i.department_id, 'OPEN', 'UNDER_REVIEW'
FROM ideas AS i JOIN officials AS o USING (municipality_id, post_id) WHERE i.first_response_at IS NOT NULL;

INSERT INTO responses (municipality_id, id, idea_id, kind, body, reasons, official_id, department_id, status_before, status_after)
SELECT i.municipality_id, pg_temp.made_id('decision', i.number, i.answered_at), i.id, 'DECISION', 'Asia on ratkaistu.', 'Perustelut ovat liitteenä.',
  o.id, i.department_id, 'UNDER_REVIEW', CASE i.status WHEN 'DONE' THEN 'PLANNED' ELSE i.status END
FROM ideas AS i JOIN officials AS o USING (municipality_id, post_id) WHERE i.answered_at IS NOT NULL;

INSERT INTO responses (municipality_id, id, idea_id, kind, body, official_id, department_id, status_before, status_after)
SELECT i.municipality_id, pg_temp.made_id('outcome', i.number, i.answered_at + interval '1 minute'), i.id, 'OUTCOME', 'Valmista tuli.',
  o.id, i.department_id, 'PLANNED', 'DONE'
FROM ideas AS i JOIN officials AS o USING (municipality_id, post_id) WHERE i.status = 'DONE';

-- step: voters
CREATE TEMP TABLE voters AS
SELECT n AS number, r.id, r.strength
FROM made AS m, generate_series(1, m.residents) AS n, residents AS r
WHERE r.municipality_id = m.municipality_id AND r.id = pg_temp.fixed_id('resident', n);
ANALYZE voters;

-- step: votes by 100000
-- An idea's place in a shuffled order decides how many it has; one vote in a hundred was withdrawn.
INSERT INTO votes (municipality_id, idea_id, resident_id, voted, strength, channel, cast_at, decided_at)
SELECT i.municipality_id, i.id, r.id, pg_temp.draw('withdrawn', vote) >= 0.01, r.strength, 'PHONE', cast_at, cast_at
FROM made AS m
JOIN ideas AS i ON i.municipality_id = m.municipality_id
  AND i.number BETWEEN current_setting('bench.first')::integer AND current_setting('bench.last')::integer
CROSS JOIN LATERAL (
  SELECT 1 + i.number * 7368787::bigint % m.ideas, greatest(i.created_at, m.made_at - interval '1 day' * m.voting_days)
) AS popularity (place, voted_from)
CROSS JOIN LATERAL generate_series(0, least(
  m.residents - 1,
  floor(0.3 * m.votes / m.ideas ^ 0.3 / place ^ 0.7 + pg_temp.draw('one more', i.number) - 1)::integer
)) AS j
CROSS JOIN LATERAL (SELECT i.number * 100000::bigint + j) AS drawn (vote)
CROSS JOIN LATERAL (
  SELECT 1 + (floor(m.residents * pg_temp.draw('first voter', i.number))::bigint + j * 7919) % m.residents,
    date_trunc('milliseconds', voted_from + (m.made_at - voted_from) * pg_temp.draw('cast', vote))
) AS cast_by (resident, cast_at)
JOIN voters AS r ON r.number = cast_by.resident;

-- step: tallies
INSERT INTO idea_tallies (municipality_id, idea_id, changed_on) SELECT municipality_id, id, placed_on FROM ideas ORDER BY id;
