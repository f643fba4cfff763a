-- fragment: window_scores
coalesce(sum(d.vote_count) FILTER (WHERE d.day > c.today - 1), 0) AS day,
coalesce(sum(d.vote_count) FILTER (WHERE d.day > c.today - 7), 0) AS week,
coalesce(sum(d.vote_count), 0) AS month,
coalesce(sum(d.vote_count * (14 - (c.today - d.day))) FILTER (WHERE d.day > c.today - 14), 0) AS trending

-- name: board_changes
-- What the boards of a municipality show of every idea changed by transactions from $2 on, with the place to read on
-- from: all transactions before it are over and in this answer. That is the oldest one still running, yet never beyond
-- the newest change: after a crash PostgreSQL gives out anew the numbers of transactions that left nothing on disk.
-- One row without an idea where nothing changed.
WITH c AS (
  SELECT m.id AS municipality_id, (clock_timestamp() AT TIME ZONE m.time_zone)::date AS today
  FROM municipalities AS m WHERE m.id = $1
)
SELECT
  least(
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    (SELECT coalesce(max(n.changed_xid), 0) + 1 FROM idea_tallies AS n)
  ) AS position,
  c.today,
  t.idea_id, t.version, i.listed, i.district_id, i.theme_id,
  ARRAY(SELECT g.group_id FROM idea_groups AS g WHERE g.municipality_id = t.municipality_id AND g.idea_id = t.idea_id) AS group_ids,
  t.vote_count, s.month, s.week, s.day, s.trending
FROM c
LEFT JOIN idea_tallies AS t ON t.municipality_id = c.municipality_id AND t.changed_xid >= $2
LEFT JOIN ideas AS i ON i.municipality_id = t.municipality_id AND i.id = t.idea_id
LEFT JOIN LATERAL (
  SELECT {window_scores} FROM tally_days AS d
  WHERE d.municipality_id = t.municipality_id AND d.idea_id = t.idea_id AND d.day > c.today - 30 AND d.day <= c.today
) AS s ON true;

-- name: renumber_changes
-- After a restore into another cluster, transaction numbers start anew: none may lie in the future.
UPDATE idea_tallies SET changed_xid = pg_current_xact_id()::text::bigint
WHERE municipality_id = $1 AND changed_xid > pg_current_xact_id()::text::bigint;

-- fragment: board_all_time
SELECT t.idea_id, t.vote_count::bigint AS score
FROM idea_tallies AS t JOIN ideas AS i ON i.municipality_id = t.municipality_id AND i.id = t.idea_id
WHERE t.municipality_id = $1 AND i.listed AND {in_scope}

-- fragment: board_window
SELECT d.idea_id, sum(d.vote_count)::bigint AS score
FROM tally_days AS d JOIN ideas AS i ON i.municipality_id = d.municipality_id AND i.id = d.idea_id
WHERE d.municipality_id = $1 AND i.listed AND {in_scope} AND d.day > $3::date - $4::integer AND d.day <= $3::date
GROUP BY d.idea_id HAVING sum(d.vote_count) > 0

-- fragment: board_trending
SELECT i.id AS idea_id, coalesce(sum(d.vote_count * (14 - ($3::date - d.day))), 0)::bigint AS score
FROM ideas AS i LEFT JOIN tally_days AS d
  ON d.municipality_id = i.municipality_id AND d.idea_id = i.id AND d.day > $3::date - 14 AND d.day <= $3::date
WHERE i.municipality_id = $1 AND i.listed AND {in_scope}
GROUP BY i.id

-- fragment: in_scope
($2::uuid IS NULL OR i.district_id = $2 OR i.theme_id = $2 OR EXISTS (
  SELECT FROM idea_groups AS g WHERE g.municipality_id = i.municipality_id AND g.idea_id = i.id AND g.group_id = $2))

-- fragment: midnight
SELECT i.municipality_id, i.id,
  CASE WHEN i.placed_on = $3::date THEN i.was_listed ELSE i.listed END AS listed,
  CASE WHEN i.placed_on = $3::date THEN i.was_district_id ELSE i.district_id END AS district_id,
  CASE WHEN i.placed_on = $3::date THEN i.was_theme_id ELSE i.theme_id END AS theme_id
FROM ideas AS i WHERE i.municipality_id = $1

-- fragment: midnight_all_time
SELECT t.idea_id, (CASE WHEN t.changed_on = $3::date THEN t.was_vote_count ELSE t.vote_count END)::bigint AS score
FROM idea_tallies AS t JOIN ({midnight}) AS i ON i.municipality_id = t.municipality_id AND i.id = t.idea_id
WHERE i.listed AND {in_scope}

-- fragment: midnight_window
SELECT d.idea_id, sum(CASE WHEN d.changed_on = $3::date THEN d.was_vote_count ELSE d.vote_count END)::bigint AS score
FROM tally_days AS d JOIN ({midnight}) AS i ON i.municipality_id = d.municipality_id AND i.id = d.idea_id
WHERE i.listed AND {in_scope} AND d.day >= $3::date - $4::integer AND d.day < $3::date
GROUP BY d.idea_id HAVING sum(CASE WHEN d.changed_on = $3::date THEN d.was_vote_count ELSE d.vote_count END) > 0

-- fragment: midnight_trending
SELECT i.id AS idea_id, coalesce(sum(
  (CASE WHEN d.changed_on = $3::date THEN d.was_vote_count ELSE d.vote_count END) * (14 - ($3::date - 1 - d.day))), 0)::bigint AS score
FROM ({midnight}) AS i LEFT JOIN tally_days AS d
  ON d.municipality_id = i.municipality_id AND d.idea_id = i.id AND d.day >= $3::date - 14 AND d.day < $3::date
WHERE i.listed AND {in_scope}
GROUP BY i.id
