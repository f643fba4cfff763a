-- fragment: now_there
SELECT m.id AS municipality_id, l.local::date AS today, extract(epoch FROM l.local::time)::integer AS since_midnight
FROM municipalities AS m, LATERAL (SELECT clock_timestamp() AT TIME ZONE m.time_zone AS local) AS l
WHERE m.id = $1

-- fragment: group_ids
ARRAY(SELECT g.group_id FROM idea_groups AS g WHERE g.municipality_id = i.municipality_id AND g.idea_id = i.id)

-- fragment: standing
i.id, i.listed, i.district_id, i.theme_id, {group_ids} AS group_ids, i.left_scope_ids, t.vote_count, s.month, s.week, s.day, s.trending

-- fragment: standing_tables
JOIN ideas AS i ON i.municipality_id = t.municipality_id AND i.id = t.idea_id
CROSS JOIN LATERAL (
  SELECT
    coalesce(sum(d.vote_count) FILTER (WHERE d.day > c.today - 1), 0) AS day,
    coalesce(sum(d.vote_count) FILTER (WHERE d.day > c.today - 7), 0) AS week,
    coalesce(sum(d.vote_count), 0) AS month,
    coalesce(sum(d.vote_count * (14 - (c.today - d.day))) FILTER (WHERE d.day > c.today - 14), 0) AS trending
  FROM tally_days AS d
  WHERE d.municipality_id = t.municipality_id AND d.idea_id = t.idea_id AND d.day > c.today - 30 AND d.day <= c.today
) AS s

-- name: board_changes
-- What the boards of a municipality show of ideas changed by transactions from $2 on, in the order of transactions and
-- ideas, at most $4 beyond idea $3 of transaction $2; with the place to read on from when all is read: all transactions
-- before it are over. That is the oldest one still running, yet never beyond the newest change: after a crash PostgreSQL
-- gives out anew the numbers of transactions that left nothing on disk. One row without an idea where nothing changed.
WITH c AS ({now_there}), t AS (
  SELECT t.municipality_id, t.idea_id, t.vote_count, t.changed_xid
  FROM c JOIN idea_tallies AS t ON t.municipality_id = c.municipality_id
  WHERE t.changed_xid >= $2 AND (t.changed_xid > $2 OR t.idea_id > $3)
  ORDER BY t.changed_xid, t.idea_id
  LIMIT $4
)
SELECT
  least(
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    (SELECT coalesce(max(n.changed_xid), 0) + 1 FROM idea_tallies AS n)
  ) AS position,
  c.today, c.since_midnight, n.*
FROM c LEFT JOIN (
  SELECT t.changed_xid, {standing} FROM c CROSS JOIN t {standing_tables}
) AS n ON true
ORDER BY n.changed_xid, n.id;

-- name: changed_ideas
-- Those of the ideas $3 that transactions from $2 on changed.
SELECT idea_id FROM idea_tallies WHERE municipality_id = $1 AND changed_xid >= $2 AND idea_id = ANY($3::uuid[]);

-- name: board_standings
-- What the boards of a municipality show of the ideas $2.
WITH c AS ({now_there})
SELECT {standing}
FROM c JOIN idea_tallies AS t ON t.municipality_id = c.municipality_id AND t.idea_id = ANY($2::uuid[])
{standing_tables};

-- name: midnight_standings
-- What they showed of the ideas $2 at the last local midnight.
WITH c AS ({now_there})
SELECT i.id, i.listed, i.district_id, i.theme_id, {group_ids} AS group_ids, '{}'::uuid[] AS left_scope_ids,
  CASE WHEN t.changed_on = c.today THEN t.was_vote_count ELSE t.vote_count END AS vote_count, s.month, s.week, s.day, s.trending
FROM c
CROSS JOIN LATERAL ({places_at_midnight} AND i.id = ANY($2::uuid[])) AS i
JOIN idea_tallies AS t ON t.municipality_id = i.municipality_id AND t.idea_id = i.id
CROSS JOIN LATERAL (
  SELECT
    coalesce(sum(n.votes) FILTER (WHERE n.age < 1), 0) AS day,
    coalesce(sum(n.votes) FILTER (WHERE n.age < 7), 0) AS week,
    coalesce(sum(n.votes), 0) AS month,
    coalesce(sum(n.votes * (14 - n.age)) FILTER (WHERE n.age < 14), 0) AS trending
  FROM (
    SELECT CASE WHEN d.changed_on = c.today THEN d.was_vote_count ELSE d.vote_count END AS votes, c.today - 1 - d.day AS age
    FROM tally_days AS d
    WHERE d.municipality_id = t.municipality_id AND d.idea_id = t.idea_id AND d.day >= c.today - 30 AND d.day < c.today
  ) AS n
) AS s;

-- name: next_ideas
-- The ids of up to $3 ideas after $2.
SELECT id FROM ideas WHERE municipality_id = $1 AND id > $2 ORDER BY id LIMIT $3;

-- name: renumber_changes
-- After a restore into another cluster, transaction numbers start anew: none may lie in the future.
UPDATE idea_tallies SET changed_xid = pg_current_xact_id()::text::bigint
WHERE municipality_id = $1 AND changed_xid > pg_current_xact_id()::text::bigint;

-- name: count_scopes
-- How many scopes a municipality's boards have.
SELECT (SELECT count(*) FROM districts WHERE municipality_id = $1) + (SELECT count(*) FROM themes WHERE municipality_id = $1)
  + (SELECT count(*) FROM groups WHERE municipality_id = $1);

-- name: scope_kind
-- The condition that keeps to a scope: null is the whole municipality.
SELECT CASE
  WHEN $2::uuid IS NULL THEN 'in_whole'
  WHEN EXISTS (SELECT FROM districts WHERE municipality_id = $1 AND id = $2) THEN 'in_district'
  WHEN EXISTS (SELECT FROM themes WHERE municipality_id = $1 AND id = $2) THEN 'in_theme'
  ELSE 'in_group'
END;

-- fragment: in_whole
$2::uuid IS NULL

-- fragment: in_district
r.district_id = $2::uuid

-- fragment: in_theme
r.theme_id = $2::uuid

-- fragment: in_group
r.idea_id = ANY (ARRAY(SELECT g.idea_id FROM idea_groups AS g WHERE g.municipality_id = $1 AND g.group_id = $2::uuid))

-- fragment: board_all_time
SELECT t.idea_id, i.district_id, i.theme_id, t.vote_count AS score
FROM idea_tallies AS t JOIN ideas AS i ON i.municipality_id = t.municipality_id AND i.id = t.idea_id
WHERE t.municipality_id = $1 AND i.listed

-- fragment: board_window
SELECT d.idea_id, i.district_id, i.theme_id, sum(d.vote_count)::bigint AS score
FROM tally_days AS d JOIN ideas AS i ON i.municipality_id = d.municipality_id AND i.id = d.idea_id
WHERE d.municipality_id = $1 AND i.listed AND d.day > $3::date - $4::integer AND d.day <= $3::date
GROUP BY d.idea_id, i.district_id, i.theme_id HAVING sum(d.vote_count) > 0

-- fragment: board_trending
SELECT i.id AS idea_id, i.district_id, i.theme_id, coalesce(d.score, 0) AS score
FROM ideas AS i LEFT JOIN (
  SELECT d.idea_id, sum(d.vote_count * (14 - ($3::date - d.day)))::bigint AS score
  FROM tally_days AS d
  WHERE d.municipality_id = $1 AND d.day > $3::date - 14 AND d.day <= $3::date
  GROUP BY d.idea_id
) AS d ON d.idea_id = i.id
WHERE i.municipality_id = $1 AND i.listed

-- fragment: places_at_midnight
SELECT i.municipality_id, i.id,
  CASE WHEN i.placed_on = c.today THEN i.was_listed ELSE i.listed END AS listed,
  CASE WHEN i.placed_on = c.today THEN i.was_district_id ELSE i.district_id END AS district_id,
  CASE WHEN i.placed_on = c.today THEN i.was_theme_id ELSE i.theme_id END AS theme_id
FROM ideas AS i WHERE i.municipality_id = $1

-- fragment: midnight
(SELECT $3::date AS today) AS c CROSS JOIN LATERAL ({places_at_midnight}) AS i

-- fragment: midnight_all_time
SELECT t.idea_id, i.district_id, i.theme_id,
  CASE WHEN t.changed_on = $3::date THEN t.was_vote_count ELSE t.vote_count END AS score
FROM {midnight} JOIN idea_tallies AS t ON t.municipality_id = i.municipality_id AND t.idea_id = i.id
WHERE i.listed

-- fragment: midnight_window
SELECT d.idea_id, i.district_id, i.theme_id,
  sum(CASE WHEN d.changed_on = $3::date THEN d.was_vote_count ELSE d.vote_count END)::bigint AS score
FROM {midnight} JOIN tally_days AS d ON d.municipality_id = i.municipality_id AND d.idea_id = i.id
WHERE i.listed AND d.day >= $3::date - $4::integer AND d.day < $3::date
GROUP BY d.idea_id, i.district_id, i.theme_id
HAVING sum(CASE WHEN d.changed_on = $3::date THEN d.was_vote_count ELSE d.vote_count END) > 0

-- fragment: midnight_trending
SELECT i.id AS idea_id, i.district_id, i.theme_id, coalesce(d.score, 0) AS score
FROM {midnight} LEFT JOIN (
  SELECT d.idea_id, sum(
    (CASE WHEN d.changed_on = $3::date THEN d.was_vote_count ELSE d.vote_count END) * (14 - ($3::date - 1 - d.day)))::bigint AS score
  FROM tally_days AS d
  WHERE d.municipality_id = $1 AND d.day >= $3::date - 14 AND d.day < $3::date
  GROUP BY d.idea_id
) AS d ON d.idea_id = i.id
WHERE i.listed

-- fragment: highest_in_whole
SELECT NULL::uuid AS scope_id, s.idea_id, s.score FROM scored AS s ORDER BY s.score DESC, s.idea_id LIMIT $5

-- fragment: highest_in_scopes
SELECT r.scope_id, r.idea_id, r.score
FROM (
  SELECT s.scope_id, s.idea_id, s.score, row_number() OVER (PARTITION BY s.scope_id ORDER BY s.score DESC, s.idea_id) AS place
  FROM (
    SELECT district_id AS scope_id, idea_id, score FROM scored WHERE district_id IS NOT NULL
    UNION ALL SELECT theme_id, idea_id, score FROM scored
    UNION ALL SELECT g.group_id, s.idea_id, s.score
    FROM scored AS s JOIN idea_groups AS g ON g.municipality_id = $1 AND g.idea_id = s.idea_id
  ) AS s
) AS r
WHERE r.place <= $5
ORDER BY r.scope_id, r.place
