-- What moves tallies, in three parts. `judged` is ideas under their locks with their tallies as they stand, `input` has their
-- municipalities, and `moved` what comes (1) and goes (-1): by strength, and by the day it counts for.

-- fragment: clock
SELECT m.id AS municipality_id, m.vote_strength, m.time_zone, now.now, (now.now AT TIME ZONE m.time_zone)::date AS today
FROM municipalities AS m, (SELECT clock_timestamp() AS now FROM (SELECT count(*) FROM judged) AS waited) AS now
WHERE m.id IN (SELECT municipality_id FROM input)

-- fragment: tally_columns
t.device_count, t.email_count, t.strong_count, t.vote_count, t.version AS tally_version, t.changed_on, t.was_vote_count,
t.even_day, t.even_score, t.odd_day, t.odd_score

-- fragment: moved_columns
v.municipality_id, v.idea_id, c.today, (v.cast_at AT TIME ZONE c.time_zone)::date AS day, m.strength, m.change,
CASE WHEN m.strength >= c.vote_strength THEN m.change ELSE 0 END AS counted,
greatest(14 + (v.cast_at AT TIME ZONE c.time_zone)::date - even_day(c.today), 0) AS even_weight,
greatest(14 + (v.cast_at AT TIME ZONE c.time_zone)::date - odd_day(c.today), 0) AS odd_weight

-- fragment: move_days
INSERT INTO tally_days AS d (municipality_id, idea_id, day, vote_count, changed_on)
SELECT municipality_id, idea_id, day, sum(counted), today FROM moved
GROUP BY municipality_id, idea_id, day, today
HAVING sum(counted) <> 0
ORDER BY municipality_id, idea_id, day
ON CONFLICT (municipality_id, idea_id, day) DO UPDATE SET
  vote_count = d.vote_count + excluded.vote_count,
  was_vote_count = CASE WHEN d.changed_on < excluded.changed_on THEN d.vote_count ELSE d.was_vote_count END,
  changed_on = excluded.changed_on

-- fragment: move_tallies
-- From the locked row as judged, not from t: that may still be the version this statement's snapshot saw, and the
-- table's checks would be held against it before PostgreSQL goes on to the newest one. Also where the counts stay: a vote
-- of today for one of last week's moves days, and so boards.
UPDATE idea_tallies AS t SET
  device_count = j.device_count + m.device, email_count = j.email_count + m.email, strong_count = j.strong_count + m.strong,
  vote_count = j.vote_count + m.counted,
  version = j.tally_version + 1, changed_xid = pg_current_xact_id()::text::bigint,
  was_vote_count = CASE WHEN j.changed_on < m.today THEN j.vote_count ELSE j.was_vote_count END,
  changed_on = m.today,
  even_score = CASE WHEN j.even_day = even_day(m.today) THEN j.even_score + m.even ELSE j.even_score END,
  odd_score = CASE WHEN j.odd_day = odd_day(m.today) THEN j.odd_score + m.odd ELSE j.odd_score END
FROM judged AS j, (
  SELECT municipality_id, idea_id, today,
    coalesce(sum(change) FILTER (WHERE strength = 'DEVICE'), 0) AS device,
    coalesce(sum(change) FILTER (WHERE strength = 'EMAIL'), 0) AS email,
    coalesce(sum(change) FILTER (WHERE strength = 'STRONG'), 0) AS strong,
    sum(counted) AS counted, sum(counted * even_weight) AS even, sum(counted * odd_weight) AS odd
  FROM moved GROUP BY municipality_id, idea_id, today
) AS m
WHERE t.municipality_id = m.municipality_id AND t.idea_id = m.idea_id
  AND j.municipality_id = m.municipality_id AND j.id = m.idea_id

-- name: set_votes
-- Statements of many residents at once, at most one by resident and idea: judges each under its idea's row lock, writes
-- vote, day and tally together, and answers the state that stands, a row an idea. Locks residents (shared), then ideas, each in the
-- order of their ids, so that no two batches wait for each other in a ring.
--
-- One plan serves every size. Its arrays are wrapped in SELECT, so that PostgreSQL doesn't look into them: it would plan
-- each batch for itself, which takes longer than to run it. LATERAL with a lock inside can't be turned into a join of whole
-- tables, and lets the planner expect as many ideas as statements: it then joins by hash, and not each with each.
WITH input AS MATERIALIZED (
  SELECT n.*, r.strength
  FROM (
    SELECT *
    FROM unnest((SELECT $1::uuid[]), (SELECT $2::uuid[]), (SELECT $3::uuid[]), (SELECT $4::boolean[]),
        (SELECT $5::timestamptz[]), (SELECT $6::vote_channel[]))
      WITH ORDINALITY AS n (municipality_id, idea_id, resident_id, voted, decided_at, channel, number)
    ORDER BY municipality_id, resident_id
  ) AS n
  LEFT JOIN LATERAL (
    SELECT r.strength FROM residents AS r
    WHERE r.municipality_id = n.municipality_id AND r.id = n.resident_id
      AND r.joined_into_id IS NULL AND r.erased_at IS NULL
    FOR SHARE
  ) AS r ON true
), judged AS MATERIALIZED (
  SELECT i.*, i.hidden_at IS NULL AND i.status IN ('OPEN', 'UNDER_REVIEW') AS accepts_votes
  FROM (SELECT DISTINCT municipality_id, idea_id FROM input ORDER BY municipality_id, idea_id) AS n
  CROSS JOIN LATERAL (
    SELECT {idea_columns}, i.municipality_id, i.hidden_at, t.version AS tally_version, t.changed_on, t.was_vote_count,
      t.even_day, t.even_score, t.odd_day, t.odd_score
    FROM {idea_tables}
    WHERE i.municipality_id = n.municipality_id AND i.id = n.idea_id
    FOR NO KEY UPDATE OF i, t
  ) AS i
), clock AS MATERIALIZED (
  {clock}
), changed AS (
  INSERT INTO votes AS v (municipality_id, idea_id, resident_id, voted, strength, channel, cast_at, decided_at)
  SELECT n.municipality_id, n.idea_id, n.resident_id, n.voted, n.strength, n.channel,
    CASE WHEN n.voted THEN c.now END, least(coalesce(n.decided_at, c.now), c.now)
  FROM input AS n
  JOIN judged AS j ON j.municipality_id = n.municipality_id AND j.id = n.idea_id AND j.accepts_votes
  JOIN clock AS c ON c.municipality_id = n.municipality_id
  WHERE n.strength IS NOT NULL
  ORDER BY n.municipality_id, n.idea_id, n.resident_id
  ON CONFLICT (municipality_id, idea_id, resident_id) DO UPDATE SET
    voted = CASE WHEN excluded.decided_at >= v.decided_at THEN excluded.voted ELSE v.voted END,
    strength = CASE WHEN excluded.decided_at >= v.decided_at THEN excluded.strength ELSE v.strength END,
    channel = CASE WHEN excluded.decided_at >= v.decided_at THEN excluded.channel ELSE v.channel END,
    cast_at = CASE WHEN excluded.decided_at >= v.decided_at THEN coalesce(v.cast_at, excluded.cast_at) ELSE v.cast_at END,
    decided_at = greatest(v.decided_at, excluded.decided_at)
  RETURNING v.municipality_id, v.idea_id, v.resident_id, new.voted, new.strength, new.cast_at,
    coalesce(old.voted, false) AS was_voted, old.strength AS was_strength
), moved AS MATERIALIZED (
  SELECT {moved_columns}
  FROM changed AS v
  JOIN clock AS c ON c.municipality_id = v.municipality_id
  CROSS JOIN LATERAL (
    SELECT v.was_strength AS strength, -1 AS change WHERE v.was_voted
    UNION ALL
    SELECT v.strength, 1 WHERE v.voted
  ) AS m
  WHERE (v.was_voted, v.was_strength) IS DISTINCT FROM (v.voted, v.strength)
), days AS (
  {move_days}
), tallied AS (
  {move_tallies}
  RETURNING t.municipality_id, t.idea_id, t.device_count, t.email_count, t.strong_count, t.vote_count
)
SELECT n.numbers, n.known, n.voted, n.strengths, n.cast_at, j.hidden_at IS NULL AND j.id IS NOT NULL AS idea_there,
  j.id, j.number, j.title, j.body, j.locale, j.status, j.created_at, j.edited_at, j.updated_at, j.version,
  j.author_id, j.author_name, j.author_group_id, j.theme_id, j.district_id, j.latitude, j.longitude,
  j.department_id, j.post_id, j.merged_into_id, j.reaction_due_at, j.answer_due_at, j.first_response_at, j.answered_at,
  j.due_at, j.hidden_reason,
  coalesce(t.device_count, j.device_count), coalesce(t.email_count, j.email_count),
  coalesce(t.strong_count, j.strong_count), coalesce(t.vote_count, j.vote_count)
FROM (
  SELECT n.municipality_id, n.idea_id, array_agg(n.number::integer) AS numbers, array_agg(n.strength IS NOT NULL) AS known,
    array_agg(v.voted) AS voted, array_agg(v.strength::text) AS strengths, array_agg(v.cast_at) AS cast_at
  FROM input AS n
  LEFT JOIN changed AS v
    ON v.municipality_id = n.municipality_id AND v.idea_id = n.idea_id AND v.resident_id = n.resident_id
  GROUP BY n.municipality_id, n.idea_id
) AS n
LEFT JOIN judged AS j ON j.municipality_id = n.municipality_id AND j.id = n.idea_id
LEFT JOIN tallied AS t ON t.municipality_id = n.municipality_id AND t.idea_id = n.idea_id;

-- name: settle_votes
-- Makes the votes of the accounts $3 those of the account $2, and all of these as strong as $4: an idea has one vote after
-- it, by the newest statement, cast when it was first. Ideas are locked in the order of their ids, as set_votes does. Gives how
-- many it touched. Needs the accounts' locks from an earlier statement, since it reads their votes as they stand when it begins.
WITH stated AS MATERIALIZED (
  SELECT v.municipality_id, v.idea_id, v.resident_id, v.voted, v.strength, v.channel, v.cast_at, v.decided_at
  FROM votes AS v WHERE v.municipality_id = $1 AND v.resident_id = ANY($3::uuid[] || $2::uuid)
), input AS (
  SELECT DISTINCT municipality_id, idea_id FROM stated
  WHERE resident_id <> $2 OR strength <> $4::identity_strength
), judged AS MATERIALIZED (
  SELECT i.*
  FROM (SELECT municipality_id, idea_id FROM input ORDER BY municipality_id, idea_id) AS n
  CROSS JOIN LATERAL (
    SELECT i.municipality_id, i.id, {tally_columns}
    FROM ideas AS i JOIN idea_tallies AS t ON t.municipality_id = i.municipality_id AND t.idea_id = i.id
    WHERE i.municipality_id = n.municipality_id AND i.id = n.idea_id
    FOR NO KEY UPDATE OF i, t
  ) AS i
), clock AS MATERIALIZED (
  {clock}
), settled AS MATERIALIZED (
  SELECT DISTINCT ON (s.idea_id) s.municipality_id, s.idea_id, s.voted, s.channel, s.decided_at,
    min(s.cast_at) OVER (PARTITION BY s.idea_id) AS cast_at
  FROM stated AS s JOIN judged AS j ON j.municipality_id = s.municipality_id AND j.id = s.idea_id
  ORDER BY s.idea_id, s.decided_at DESC, s.voted DESC, s.resident_id
), gone AS (
  DELETE FROM votes AS v USING settled AS s
  WHERE v.municipality_id = s.municipality_id AND v.idea_id = s.idea_id AND v.resident_id = ANY($3::uuid[])
), kept AS (
  INSERT INTO votes (municipality_id, idea_id, resident_id, voted, strength, channel, cast_at, decided_at)
  SELECT municipality_id, idea_id, $2::uuid, voted, $4::identity_strength, channel, cast_at, decided_at FROM settled
  ON CONFLICT (municipality_id, idea_id, resident_id) DO UPDATE SET
    voted = excluded.voted, strength = excluded.strength, channel = excluded.channel, cast_at = excluded.cast_at,
    decided_at = excluded.decided_at
), moved AS MATERIALIZED (
  SELECT {moved_columns}
  FROM (
    SELECT s.municipality_id, s.idea_id, s.cast_at, s.strength, -1 AS change
    FROM stated AS s JOIN settled AS n ON n.municipality_id = s.municipality_id AND n.idea_id = s.idea_id
    WHERE s.voted
    UNION ALL
    SELECT municipality_id, idea_id, cast_at, $4::identity_strength, 1 FROM settled WHERE voted
  ) AS v
  JOIN clock AS c ON c.municipality_id = v.municipality_id
  CROSS JOIN LATERAL (SELECT v.strength, v.change) AS m
), days AS (
  {move_days}
), tallied AS (
  {move_tallies}
)
SELECT count(*) FROM settled;

-- name: recount
-- Makes every tally and day of a municipality anew from its votes; for bulk loads, inside their transaction.
WITH m AS (
  SELECT id, vote_strength, time_zone, (clock_timestamp() AT TIME ZONE time_zone)::date AS today FROM municipalities WHERE id = $1
), votes_by_day AS MATERIALIZED (
  SELECT v.idea_id, (v.cast_at AT TIME ZONE m.time_zone)::date AS day, v.strength, count(*) AS votes
  FROM votes AS v, m WHERE v.municipality_id = m.id AND v.voted GROUP BY 1, 2, 3
), counted AS (
  SELECT b.idea_id,
    coalesce(sum(votes) FILTER (WHERE strength = 'DEVICE'), 0) AS device,
    coalesce(sum(votes) FILTER (WHERE strength = 'EMAIL'), 0) AS email,
    coalesce(sum(votes) FILTER (WHERE strength = 'STRONG'), 0) AS strong,
    coalesce(sum(votes) FILTER (WHERE strength >= m.vote_strength), 0) AS counted,
    coalesce(sum(votes) FILTER (WHERE strength >= m.vote_strength AND day < m.today), 0) AS before,
    coalesce(sum(votes * greatest(14 + day - even_day(m.today), 0)) FILTER (WHERE strength >= m.vote_strength AND day <= even_day(m.today)), 0) AS even,
    coalesce(sum(votes * greatest(14 + day - odd_day(m.today), 0)) FILTER (WHERE strength >= m.vote_strength AND day <= odd_day(m.today)), 0) AS odd
  FROM votes_by_day AS b, m GROUP BY b.idea_id
), emptied AS (
  DELETE FROM tally_days AS d
  WHERE d.municipality_id = $1 AND NOT EXISTS (
    SELECT FROM votes_by_day AS b, m WHERE b.idea_id = d.idea_id AND b.day = d.day AND b.strength >= m.vote_strength)
), days AS (
  INSERT INTO tally_days AS d (municipality_id, idea_id, day, vote_count, changed_on, was_vote_count)
  SELECT m.id, b.idea_id, b.day, sum(b.votes), m.today, CASE WHEN b.day < m.today THEN sum(b.votes) ELSE 0 END
  FROM votes_by_day AS b, m WHERE b.strength >= m.vote_strength GROUP BY m.id, b.idea_id, b.day, m.today
  ON CONFLICT (municipality_id, idea_id, day) DO UPDATE SET
    vote_count = excluded.vote_count, changed_on = excluded.changed_on, was_vote_count = excluded.was_vote_count
)
UPDATE idea_tallies AS t SET
  device_count = coalesce(c.device, 0), email_count = coalesce(c.email, 0), strong_count = coalesce(c.strong, 0),
  vote_count = coalesce(c.counted, 0), was_vote_count = coalesce(c.before, 0), changed_on = m.today,
  even_day = even_day(m.today), even_score = coalesce(c.even, 0), odd_day = odd_day(m.today), odd_score = coalesce(c.odd, 0),
  version = t.version + 1, changed_xid = pg_current_xact_id()::text::bigint
FROM m, idea_tallies AS all_tallies LEFT JOIN counted AS c ON c.idea_id = all_tallies.idea_id
WHERE all_tallies.municipality_id = m.id AND t.municipality_id = all_tallies.municipality_id AND t.idea_id = all_tallies.idea_id;
